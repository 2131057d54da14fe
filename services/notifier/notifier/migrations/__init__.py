"""Migrations of notifier."""
