"""Versions of the tables of journeys."""
