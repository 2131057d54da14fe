"""Loyalty on a real PostgreSQL."""
