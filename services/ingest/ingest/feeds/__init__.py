"""Platforms that call no webhook: we connect to them, take the messages they hand out, and confirm what is durable."""
