"""Ingest on a real PostgreSQL."""
