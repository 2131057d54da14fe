"""Migrations of loyalty."""
