"""Segmentation's pure rooms."""
