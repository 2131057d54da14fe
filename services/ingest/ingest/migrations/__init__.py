"""Migrations of ingest's schema."""
