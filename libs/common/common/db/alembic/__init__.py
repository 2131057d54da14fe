"""Alembic's script folder for all services."""
