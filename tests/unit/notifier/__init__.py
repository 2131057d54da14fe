"""Notifier, decision by decision."""
