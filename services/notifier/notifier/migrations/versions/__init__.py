"""Versions of the tables of notifier."""
