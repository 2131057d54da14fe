"""`python -m journeys serve | migrate`."""

from common.house import main
from journeys.app import open_service

if __name__ == "__main__":
    main("journeys", open_service)
