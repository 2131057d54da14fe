"""What is remembered of a customer: purchases, and how the person comes by, looks, carts and reviews."""

from datetime import datetime

from msgspec import Struct

from common.contracts.segmentation import Activity, Lifecycle

# The inner records are arrays in JSON, without field names: every customer's row is read and written all day.
# A field may be added at their end, with a default, and at no other place.


class KnownOrder(Struct, frozen=True, array_like=True):
    """An order that was paid or cancelled; cancelled is for good, and `paid_at` is then None."""

    order_id: str
    paid_at: datetime | None = None  # UTC
    amount_minor: int = 0


class Purchases(Struct, frozen=True, array_like=True):
    """At least one purchase, all of them together: paid orders that were not cancelled."""

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


class Profile(Struct, frozen=True, omit_defaults=True):
    """A customer. `lifecycle` and `activity` are what was last told, all the rest is what happened."""

    lifecycle: Lifecycle = "prospect"
    activity: Activity | None = None
    purchases: Purchases | None = None  # of known and forgotten orders, so that nothing need be summed to classify
    orders: tuple[KnownOrder, ...] = ()  # as first heard of, at most orders.MAX_ORDERS
    forgotten: Purchases | None = None  # of the orders before those
    carts: Carts | None = None
    reviews: Reviews | None = None
    visits: Visits | None = None
    locale: str | None = None
    country: str | None = None
    city: str | None = None
    erased_at: datetime | None = None  # what was known of the person before is not to come back with a merge
