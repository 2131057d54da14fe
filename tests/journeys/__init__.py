"""Journeys on a real PostgreSQL."""
