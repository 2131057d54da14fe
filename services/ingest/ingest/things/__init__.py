"""Carts and orders: what the edge remembers of them, and tells."""
