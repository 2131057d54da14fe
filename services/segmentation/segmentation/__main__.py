"""`python -m segmentation serve | migrate`."""

from common.house import main
from segmentation.app import open_service

if __name__ == "__main__":
    main("segmentation", open_service)
