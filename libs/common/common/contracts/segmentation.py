"""`segmentation.memberships.v1`: who is in which segment, lifecycle stage and RFM cell, and why; and segmentation's own
work: what an edit asks of each customer."""

from typing import ClassVar, Literal

from common.contracts.envelope import Data, Time
from common.ids import Id

Lifecycle = Literal["prospect", "new", "repeat", "loyal", "fan"]
ToldLifecycle = Literal["prospect", "new", "repeat", "loyal"]  # as published before there were fans
Activity = Literal["active", "stimulate", "winback", "lost"]


class SegmentEntered(Data, frozen=True):
    """The customer is in the segment from now on."""

    TYPE: ClassVar[str] = "segment.entered"
    segment: Id
    reason: str
    version: int = 1  # of the segment's rule


class SegmentLeft(Data, frozen=True):
    """The customer is in the segment no more."""

    TYPE: ClassVar[str] = "segment.left"
    segment: Id
    reason: str
    version: int = 1  # of the segment's rule


class LifecycleChanged(Data, frozen=True):
    """Lifecycle x activity changed; `activity` is None for prospects, `previous_*` is None for a new face. A fan is
    told as loyal, and `fan` says so."""

    TYPE: ClassVar[str] = "lifecycle.changed"
    lifecycle: ToldLifecycle
    activity: Activity | None
    previous_lifecycle: ToldLifecycle | None
    previous_activity: Activity | None
    reason: str
    fan: bool = False
    previous_fan: bool = False


class RfmChanged(Data, frozen=True):
    """The customer's recency, frequency and monetary scores changed; 0 and no group for who has no purchase left."""

    TYPE: ClassVar[str] = "rfm.changed"
    recency: int
    frequency: int
    monetary: int
    group: str
    reason: str = ""


class ChurnWarned(Data, frozen=True):
    """The customer behaves like one about to leave."""

    TYPE: ClassVar[str] = "churn.warned"
    reasons: tuple[str, ...]
    score: int = 0  # of 100


class SegmentRecheck(Data, frozen=True):
    """To a customer, from its own service: segments were edited up to this revision; be asked again, if not since. With
    `at`, when the edit was made, not before that: by then all news up to it is decided."""

    TYPE: ClassVar[str] = "segment.recheck"
    revision: int
    at: Time | None = None


class ListChanged(Data, frozen=True):
    """To a customer, from its own service: it stands on a static list from now on, or no more. `revision` and `at` are
    of that edit, as above."""

    TYPE: ClassVar[str] = "list.changed"
    list: Id
    is_in: bool
    revision: int = 0
    at: Time | None = None


EVENTS: tuple[type[Data], ...] = (SegmentEntered, SegmentLeft, LifecycleChanged, RfmChanged, ChurnWarned)
WORK: tuple[type[Data], ...] = (SegmentRecheck, ListChanged)
