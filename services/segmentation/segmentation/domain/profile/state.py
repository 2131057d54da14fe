"""What is remembered of a customer: orders, events, who the person is, and what was last told of it.

Everything here is bounded: orders.MAX_ORDERS orders, records.MAX_RECORDS events of each other kind, as many models and
segments as the shop has, and notes.MAX_WAITING notes. Every customer's row is read and written all day: the inner
records are arrays in JSON, without field names. A field may be added at their end, with a default, and at no other
place.
"""

from datetime import datetime

from msgspec import Struct

from common.contracts.segmentation import Activity, Lifecycle
from segmentation.domain.profile.records import Series, Sums

Value = bool | int | str | tuple[str, ...]  # of a fact that a model says; a time is text, RFC 3339


class Refund(Struct, frozen=True, array_like=True, order=True):
    """Money that went back."""

    at: datetime
    refund_id: str
    amount_minor: int


class KnownOrder(Struct, frozen=True, array_like=True):
    """An order, by whatever was told of it; times are UTC, amounts minor units."""

    order_id: str
    paid_at: datetime | None = None
    amount_minor: int = 0  # as paid
    cancelled_at: datetime | None = None  # for good; orders.LONG_AGO where earlier versions did not keep when
    placed_at: datetime | None = None
    completed_at: datetime | None = None
    completed_minor: int = 0
    told_at: datetime | None = None  # the newest word of what is in it
    told_minor: int = 0
    pieces: int = 0
    items: tuple[str, ...] = ()  # at most orders.MAX_ITEMS, and their categories
    categories: tuple[str, ...] = ()
    refunds: tuple[Refund, ...] = ()  # oldest first, at most orders.MAX_REFUNDS

    @property
    def is_purchase(self) -> bool:
        """Paid and not cancelled."""
        return self.paid_at is not None and self.cancelled_at is None

    @property
    def left_minor(self) -> int:
        """What was paid less what went back."""
        if not self.refunds:
            return self.amount_minor
        return max(0, self.amount_minor - sum(refund.amount_minor for refund in self.refunds))


class Purchases(Struct, frozen=True, array_like=True):
    """At least one purchase, all of them together: paid orders that were not cancelled, less what went back."""

    count: int
    first_at: datetime  # when the earliest was paid, UTC; payments may come in any order
    last_at: datetime
    amount_minor: int  # in the shop's currency


class Carts(Struct, frozen=True, array_like=True):
    """What was put in carts; the category is the latest one known."""

    added: int
    last_at: datetime
    category: str | None = None


class Reviews(Struct, frozen=True, array_like=True):
    """How often the person reviewed, and how often with a photo."""

    count: int = 0
    with_photo: int = 0


class Visits(Struct, frozen=True, array_like=True):
    """How often the person looked at the shop, and when last."""

    count: int
    last_at: datetime


class Consent(Struct, frozen=True, array_like=True, order=True):
    """The last word on one purpose of one channel; of two at one time, the no."""

    at: datetime
    refused: bool


class Kept(Struct, frozen=True, array_like=True):
    """What a model said last, and when by itself it next says something else."""

    facts: dict[str, Value] = {}
    until: datetime | None = None


class Place(Struct, frozen=True, array_like=True):
    """Whether the customer is in a segment, by which version of it, and when by itself that may next change. Who is
    out for as long as nothing happens has no place there."""

    inside: bool
    until: datetime | None = None
    version: int = 1


class Note(Struct, frozen=True, array_like=True):
    """What another service told: its time (UTC), the type of the event, its name, and what it says."""

    at: datetime
    kind: str
    name: str
    about: dict[str, str | int] = {}


class Profile(Struct, frozen=True, omit_defaults=True):
    """A customer. `lifecycle`, `activity`, `answers` and `places` are what was last told, all the rest is what
    happened."""

    lifecycle: Lifecycle = "prospect"
    activity: Activity | None = None
    purchases: Purchases | None = None  # of all orders, so that nothing need be summed to look
    orders: tuple[KnownOrder, ...] = ()  # as first heard of
    forgotten: Purchases | None = None  # of orders before those, as earlier versions kept them
    carts: Carts | None = None
    reviews: Reviews | None = None
    visits: Visits | None = None
    locale: str | None = None
    country: str | None = None
    city: str | None = None
    erased_at: datetime | None = None  # what was known of the person before is not to come back with a merge
    series: dict[str, Series] = {}  # by kind of event, those of orders aside
    dropped: dict[str, Sums] = {}  # by kind, of orders that are no longer known one by one
    attributes: dict[str, str] = {}
    tags: tuple[str, ...] = ()  # sorted
    consents: dict[str, Consent] = {}  # by `<channel>.<purpose>`
    tier: str | None = None
    points: int | None = None
    lists: tuple[str, ...] = ()  # the static lists that hold the customer, sorted
    lists_lent: tuple[str, ...] = ()  # those of them that only who was merged into it stood on, sorted
    first_seen_at: datetime | None = None  # when anything was first heard of it
    last_seen_at: datetime | None = None  # when the person last did something
    answers: dict[str, Kept] = {}  # by model
    places: dict[str, Place] = {}  # by segment
    revision: int = -1  # of the rulebook, at which everything edited was asked; -1: not asked yet
    edition: str = ""  # of the presets it was asked by
    closed: bool = False  # merged into another, who is asked instead
    # Erased, and nothing was heard since: in no segment but its cell of the grid. Or never heard of by the shop, but by
    # what other services told: nobody yet, and asked nothing.
    resting: bool = False
    waiting: tuple[Note, ...] = ()  # what other services told of a time that is still to come here, in order
