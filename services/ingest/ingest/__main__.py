"""`python -m ingest serve|migrate`."""

from common.house import main
from ingest.app import open_service

main("ingest", open_service)
