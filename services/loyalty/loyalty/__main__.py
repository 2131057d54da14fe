"""`python -m loyalty serve | migrate`."""

from common.house import main
from loyalty.app import open_service

if __name__ == "__main__":
    main("loyalty", open_service)
