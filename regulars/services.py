"""All services by name: the only place that knows them all."""

from collections.abc import Sequence
from typing import Literal

from common.house import Opener
from ingest.app import open_service as open_ingest
from journeys.app import open_service as open_journeys
from loyalty.app import open_service as open_loyalty
from notifier.app import open_service as open_notifier
from segmentation.app import open_service as open_segmentation

Name = Literal["ingest", "segmentation", "journeys", "loyalty", "notifier"]

OPENERS: dict[Name, Opener] = {
    "ingest": open_ingest,
    "segmentation": open_segmentation,
    "journeys": open_journeys,
    "loyalty": open_loyalty,
    "notifier": open_notifier,
}
NAMES: tuple[Name, ...] = tuple(OPENERS)
ALL: Sequence[Opener] = tuple(OPENERS.values())
