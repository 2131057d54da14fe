"""Journeys: its pure rooms and its files."""
