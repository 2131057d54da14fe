"""`python -m notifier serve | migrate`."""

from common.house import main
from notifier.app import open_service

if __name__ == "__main__":
    main("notifier", open_service)
