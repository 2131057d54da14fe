"""Connectors: one file per platform, pure, from what it sends to the events that senders give."""
