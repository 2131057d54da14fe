"""The catalogue of topics: who owns each and which events it may hold."""

from msgspec import Struct

from common.contracts import ingest, journeys, loyalty, notifier, segmentation, work
from common.contracts.envelope import Data


class Topic(Struct, frozen=True):
    """A topic of 24 partitions, keyed by customer. `work` topics are read by their owner alone."""

    name: str
    owner: str
    events: tuple[type[Data], ...]
    work: bool = False

    @property
    def dead(self) -> str:
        """Where a consumer puts what it could not decode or decide."""
        return f"{self.name}.dead"


INGEST_EVENTS = Topic("ingest.events.v1", "ingest", ingest.EVENTS)
MEMBERSHIPS = Topic("segmentation.memberships.v1", "segmentation", segmentation.EVENTS)
REQUESTS = Topic("journeys.requests.v1", "journeys", journeys.EVENTS)
ACCOUNTS = Topic("loyalty.accounts.v1", "loyalty", loyalty.EVENTS)
DELIVERIES = Topic("notifier.deliveries.v1", "notifier", notifier.EVENTS)
SEGMENTATION_WORK = Topic("segmentation.work.v1", "segmentation", (*work.EVENTS, *segmentation.WORK), work=True)
JOURNEYS_WORK = Topic("journeys.work.v1", "journeys", work.EVENTS, work=True)
LOYALTY_WORK = Topic("loyalty.work.v1", "loyalty", work.EVENTS, work=True)
NOTIFIER_WORK = Topic("notifier.work.v1", "notifier", (*work.EVENTS, *notifier.WORK), work=True)

TOPICS: tuple[Topic, ...] = (
    INGEST_EVENTS,
    MEMBERSHIPS,
    REQUESTS,
    ACCOUNTS,
    DELIVERIES,
    SEGMENTATION_WORK,
    JOURNEYS_WORK,
    LOYALTY_WORK,
    NOTIFIER_WORK,
)
