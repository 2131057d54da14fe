"""Versions of the tables of loyalty."""
