"""Connectors, without a database: literal payloads in, the events that a person read off them out."""
