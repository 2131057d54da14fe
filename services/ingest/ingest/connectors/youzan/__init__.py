"""Youzan: its pushes, with what is in orders and customers."""

from ingest.connectors.youzan.connector import CONNECTOR

__all__ = ["CONNECTOR"]
