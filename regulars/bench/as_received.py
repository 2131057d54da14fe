"""What the services are fed with: the demo's shop, as often as it takes, as ingest tells of it; and what follows."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from common.contracts import ingest
from common.contracts.envelope import Data, Event
from common.contracts.journeys import MessageRequested
from common.decision import Aggregate
from common.money import Money
from common.shops import load_shops
from journeys import app as journeys
from journeys import presets as journeys_presets
from regulars.demo import shop as demo_shop

SHOP = "demo"
OPENED_AT = datetime(2026, 1, 5, tzinfo=UTC)
DATA = {data.TYPE: data for data in ingest.FROM_SENDERS}
EVENTS_PER_MESSAGE = 5  # more than it takes: a message comes of three to four
EVENTS_AT_FIRST = 2_000  # people register before they order
ORDER = Money(12_900, demo_shop.CURRENCY)


def event(event_id: str, customer_id: str, at: datetime, data: Data, *, shop_id: str = SHOP) -> Event[Data]:
    """Made by hand: what ingest tells of something that was sent when it happened."""
    return Event(
        specversion="1.0",
        id=event_id,
        source="api",
        type=data.TYPE,
        shop_id=shop_id,
        customer_id=customer_id,
        occurred_at=at,
        received_at=at,
        data=data,
    )


def shop_events(count: int) -> list[Event[Data]]:
    """So many different events in the order they were received: 400 customers to each 6,000, over 60 days."""
    events: list[Event[Data]] = []
    for seed in itertools.count():
        if len(events) >= count:
            break
        plan = demo_shop.once(demo_shop.plan(seed))  # a repeat goes no further than ingest
        events += map(_received, demo_shop.renamed(plan, f"s{seed}-"))
    return sorted(events, key=lambda event: event.received_at)[:count]


def message_requests(count: int) -> list[Event[Data]]:
    """So many requests for a message: what journeys says of such a shop, in the order it says it."""
    service = journeys.service(journeys_presets.load(load_shops()))
    of: dict[str, Aggregate[Any]] = {}
    for event in shop_events(EVENTS_AT_FIRST + count * EVENTS_PER_MESSAGE):
        if event.customer_id not in of:
            of[event.customer_id] = Aggregate(service.name, service.decide, SHOP, event.customer_id, None)
        of[event.customer_id].take(event)
    facts = (fact for aggregate in of.values() for fact in aggregate.facts)
    asked = [fact for fact in facts if isinstance(fact.data, MessageRequested)]
    assert len(asked) >= count, f"only {len(asked)} messages"
    return sorted(asked, key=lambda fact: fact.received_at)[:count]


def orders_completed(customers: int, of_each: int) -> list[Event[Data]]:
    """Completed orders alone, every customer's first, every customer's second and so on: each earns 129 points."""
    return [
        event(
            f"o{number}-{customer}",
            f"c{customer:06d}",
            OPENED_AT + timedelta(days=number, milliseconds=customer),
            ingest.OrderCompleted(f"o{number}-{customer}", ORDER),
        )
        for number in range(of_each)
        for customer in range(customers)
    ]


def customers_of(events: Iterable[Event[Data]]) -> int:
    """How many they are of."""
    return len({event.customer_id for event in events})


def _received(sent: demo_shop.Sent) -> Event[Data]:
    told = sent.event
    data = msgspec.convert(told["data"], DATA[told["type"]])
    made = event(told["id"], told["subject"], OPENED_AT + sent.at, data)
    return msgspec.structs.replace(made, occurred_at=OPENED_AT + told.get(demo_shop.HAPPENED, sent.at))
