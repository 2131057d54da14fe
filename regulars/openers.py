"""How each service is opened: the only place that imports them all."""

from collections.abc import Sequence

from common.house import Opener
from ingest.app import open_service as open_ingest
from journeys.app import open_service as open_journeys
from loyalty.app import open_service as open_loyalty
from notifier.app import open_service as open_notifier
from regulars.services import NAMES, Name
from segmentation.app import open_service as open_segmentation

OPENERS: dict[Name, Opener] = {
    "ingest": open_ingest,
    "segmentation": open_segmentation,
    "journeys": open_journeys,
    "loyalty": open_loyalty,
    "notifier": open_notifier,
}
ALL: Sequence[Opener] = tuple(OPENERS[name] for name in NAMES)
