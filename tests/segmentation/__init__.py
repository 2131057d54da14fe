"""Segmentation on a real PostgreSQL."""
