"""All services by name; how each is opened stands in openers.py, which takes longer to import."""

from typing import Literal, get_args

Name = Literal["ingest", "segmentation", "journeys", "loyalty", "notifier"]
NAMES: tuple[Name, ...] = get_args(Name)
