"""Shopify: what is common to its bodies, then a file for each thing they tell of."""

from ingest.connectors.shopify.connector import CONNECTOR

__all__ = ["CONNECTOR"]
