"""Kills, pauses and cuts while events go in; afterwards everything must be as if nothing had happened."""
