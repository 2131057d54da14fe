"""Taobao and Tmall: messages of TMC, with topics and traces of parcels."""

from ingest.connectors.taobao.connector import CONNECTOR

__all__ = ["CONNECTOR"]
