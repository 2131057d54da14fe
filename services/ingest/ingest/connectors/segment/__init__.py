"""Segment and RudderStack: their messages, with what is told of people and of commerce."""
