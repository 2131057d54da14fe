"""`segmentation.memberships.v1`: who is in which segment, lifecycle stage and RFM cell, and since when."""

from typing import ClassVar, Literal

from common.contracts.envelope import Data
from common.ids import Id

Lifecycle = Literal["prospect", "new", "repeat", "loyal"]
Activity = Literal["active", "stimulate", "winback", "lost"]


class SegmentEntered(Data, frozen=True):
    """The customer is in the segment from now on."""

    TYPE: ClassVar[str] = "segment.entered"
    segment: Id
    reason: str


class SegmentLeft(Data, frozen=True):
    """The customer is in the segment no more."""

    TYPE: ClassVar[str] = "segment.left"
    segment: Id
    reason: str


class LifecycleChanged(Data, frozen=True):
    """Lifecycle x activity changed; `activity` is None for prospects, `previous_*` is None for a new face."""

    TYPE: ClassVar[str] = "lifecycle.changed"
    lifecycle: Lifecycle
    activity: Activity | None
    previous_lifecycle: Lifecycle | None
    previous_activity: Activity | None
    reason: str


class RfmChanged(Data, frozen=True):
    """The customer's recency, frequency and monetary scores changed."""

    TYPE: ClassVar[str] = "rfm.changed"
    recency: int
    frequency: int
    monetary: int
    group: str


class ChurnWarned(Data, frozen=True):
    """The customer behaves like one about to leave."""

    TYPE: ClassVar[str] = "churn.warned"
    reasons: tuple[str, ...]


EVENTS: tuple[type[Data], ...] = (SegmentEntered, SegmentLeft, LifecycleChanged, RfmChanged, ChurnWarned)
