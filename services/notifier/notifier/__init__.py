"""Speaks to people: templates in the shop's language, channels, and what became of each message."""
