"""Speaks to people: consent, caps, templates, channels and receipts."""
