"""Walks customers through journeys and asks for messages and rewards at the right time."""
