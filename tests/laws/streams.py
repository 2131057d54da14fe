"""Streams of shop events as they really come (late, repeated, disordered, imported), and ways to deliver them.

A stream is what a topic holds; a delivery is a stream plus where the batches are cut and when alarms go off. The laws
in `tests/laws/every_decide.py` say that a delivery never changes a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import (
    CartItemAdded,
    CartItemRemoved,
    CheckIn,
    ConsentChanged,
    CustomerErased,
    CustomerMerged,
    CustomerRegistered,
    CustomerSplit,
    CustomerUpdated,
    HistoryEnded,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ReviewSubmitted,
    Share,
    ShipmentDelivered,
    ShipmentDispatched,
    Visit,
)
from common.money import Money

START = datetime(2017, 3, 20, 12, tzinfo=UTC)
SHOP = "shop"
CURRENCY = "CNY"
MAX_CUSTOMERS = 3
MAX_ORDERS = 4  # per customer: few, so that events of one order meet
MAX_EVENTS = 30

_TICK = timedelta(microseconds=1)
_DAYS = [timedelta(days=d) for d in (1, 15, 30, 45, 60, 120, 180, 365)]
_SHORT = [timedelta(0), _TICK, timedelta(minutes=5), timedelta(hours=1), timedelta(hours=24)]
# Steps that land exactly on, just before and just after the thresholds of the presets, and any others.
GAPS = st.one_of(
    st.sampled_from(_SHORT),
    st.sampled_from([*_DAYS, *(d - _TICK for d in _DAYS), *(d + _TICK for d in _DAYS)]),
    st.integers(0, 100 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
# How much earlier than it was received an event says it occurred; below zero is a sender whose clock is ahead.
LAGS = st.one_of(
    st.just(timedelta(0)),
    st.just(timedelta(0)),
    st.sampled_from([timedelta(hours=-1), _TICK, timedelta(minutes=5), timedelta(days=15), timedelta(days=400)]),
    st.integers(0, 90 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
AMOUNTS = st.sampled_from([0, 1, 99, 100, 4_999, 50_000, 150_000, 200_000, 500_000]).map(lambda n: Money(n, CURRENCY))
ORDER_IDS = st.integers(1, MAX_ORDERS).map(lambda n: f"o{n}")
ITEMS = st.sampled_from([Item("i1", category="masks", unit_price=Money(990, CURRENCY)), Item("i2", quantity=3)])


def order_events() -> st.SearchStrategy[Data]:
    """Anything that can be said of an order, in any order and as often as it pleases."""
    return st.one_of(
        st.builds(OrderPlaced, ORDER_IDS, AMOUNTS),
        st.builds(OrderPaid, ORDER_IDS, AMOUNTS),
        st.builds(OrderPaid, ORDER_IDS, AMOUNTS),
        st.builds(OrderCancelled, ORDER_IDS),
        st.builds(OrderRefunded, ORDER_IDS, st.sampled_from(["r1", "r2"]), AMOUNTS),
        st.builds(OrderCompleted, ORDER_IDS, AMOUNTS),
        st.builds(OrderCompleted, ORDER_IDS, AMOUNTS),
        st.builds(ShipmentDispatched, ORDER_IDS),
        st.builds(ShipmentDelivered, ORDER_IDS),
    )


def other_events() -> st.SearchStrategy[Data]:
    """What is not about an order."""
    return st.one_of(
        st.builds(CartItemAdded, ITEMS),
        st.builds(CartItemRemoved, ITEMS),
        st.builds(ReviewSubmitted, st.integers(1, 5), has_photo=st.booleans()),
        st.builds(CustomerRegistered, st.sampled_from(["zh-CN", "en", None]), city=st.sampled_from(["Hangzhou", None])),
        st.builds(CustomerUpdated, st.sampled_from(["zh-CN", "en", None]), city=st.sampled_from(["Suzhou", None])),
        st.builds(Visit, category=st.sampled_from(["masks", None])),
        st.builds(CheckIn),
        st.builds(Share),
        st.builds(CustomerErased),
    )


def people_events() -> st.SearchStrategy[Data]:
    """Who somebody is, and what it allows. Of those who are merged, all that follows is another's."""
    return st.one_of(
        st.builds(CustomerMerged, st.just("elsewhere")),
        st.builds(CustomerSplit, st.just("elsewhere")),
        st.builds(CustomerErased),
        st.builds(ConsentChanged, st.just("sms"), st.sampled_from(["marketing", "transactional"]), st.booleans()),
    )


def any_events() -> st.SearchStrategy[Data]:
    """Mostly orders."""
    return st.one_of(order_events(), order_events(), order_events(), other_events())


@dataclass(frozen=True)
class Delivery:
    """A stream and one way to deliver it. `cuts` are the indexes a new batch begins at. `wakes[i]`, from 0 to 4, is how
    many quarters of the time between two events of a customer have passed when its alarm goes off before event i.
    `end` is a watermark after everything."""

    events: tuple[Event[Data], ...]
    cuts: frozenset[int]
    wakes: tuple[int, ...]
    end: datetime


@st.composite
def streams(
    draw: st.DrawFn,
    data: st.SearchStrategy[Data] | None = None,
    *,
    customers: int = MAX_CUSTOMERS,
    max_events: int = MAX_EVENTS,
    imports: bool = True,
) -> tuple[Event[Data], ...]:
    """Events of a few customers in the order of a topic: perhaps an import, then live, then perhaps a late import.

    Received times never run backwards, except that an import's are the events' own, per customer in order.
    """
    kinds = any_events() if data is None else data
    before = draw(st.integers(0, max_events // 2)) if imports and draw(st.booleans()) else 0
    after = draw(st.integers(1, max_events // 4)) if imports and draw(st.integers(0, 4)) == 4 else 0
    live = draw(st.integers(0 if before else 1, max_events - before - after))
    names = st.integers(1, customers).map(lambda n: f"c{n}")
    stream: list[Event[Data]] = []

    def stretch(count: int, now: datetime, historic: bool) -> datetime:
        for _ in range(count):
            now += draw(GAPS)
            occurred_at = now if historic else now - draw(LAGS)
            stream.append(event(len(stream), draw(names), draw(kinds), now, occurred_at, historic=historic))
        return now

    def end_history(since: int, now: datetime) -> None:
        for name in dict.fromkeys(one.customer_id for one in stream[since:]):
            stream.append(event(len(stream), name, HistoryEnded(), now, now))

    now = stretch(before, START, historic=True) + draw(GAPS)
    end_history(0, now)
    now = stretch(live, now, historic=False)
    if after:
        since = len(stream)
        now = max(now, stretch(after, START, historic=True)) + draw(GAPS)
        end_history(since, now)
    return tuple(stream)


@st.composite
def deliveries(
    draw: st.DrawFn,
    data: st.SearchStrategy[Data] | None = None,
    *,
    customers: int = MAX_CUSTOMERS,
    max_events: int = MAX_EVENTS,
    imports: bool = True,
) -> Delivery:
    """A stream, cut anywhere, with alarms that are prompt, late or never go off."""
    events = draw(streams(data, customers=customers, max_events=max_events, imports=imports))
    cuts = draw(st.frozensets(st.integers(1, len(events)), max_size=6))
    wakes = draw(st.lists(st.integers(0, 4), min_size=len(events), max_size=len(events)))
    return Delivery(events, cuts, tuple(wakes), latest(events) + draw(GAPS))


def latest(events: Sequence[Event[Data]]) -> datetime:
    """The latest time anything was received."""
    return max(one.received_at for one in events)


def event(
    number: int,
    customer_id: str,
    data: Data,
    received_at: datetime,
    occurred_at: datetime | None = None,
    *,
    historic: bool = False,
    shop_id: str = SHOP,
) -> Event[Data]:
    """The `number`-th event of a stream."""
    return Event(
        specversion="1.0",
        id=f"e{number}",
        source="test",
        type=data.TYPE,
        shop_id=shop_id,
        customer_id=customer_id,
        occurred_at=received_at if occurred_at is None else occurred_at,
        received_at=received_at,
        historic=historic,
        data=data,
    )
