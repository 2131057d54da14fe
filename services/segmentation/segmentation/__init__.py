"""Keeps every customer's profile, lifecycle and segments, on time even without an event."""
