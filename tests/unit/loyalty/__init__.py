"""Loyalty's pure rooms."""
