"""The events that benchmarks send: nothing twice, the same from the same seed, and good enough for ingest."""

from datetime import UTC, datetime

import msgspec

from ingest.domain.accept import Accepted, accept
from regulars.bench import shop_events

EVENTS = 3_000


def test_nothing_comes_twice() -> None:
    ids = [event["id"] for seed in (1, 2) for event in shop_events.events(seed, EVENTS)]
    assert len(set(ids)) == len(ids) == 2 * EVENTS


def test_the_same_seed_gives_the_same_events_however_many() -> None:
    assert shop_events.bodies(3, 100) == shop_events.bodies(3, EVENTS)[:100]


def test_ingest_takes_them_all() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for body in shop_events.bodies(4, EVENTS):
        outcome = accept(body, "demo", "CNY", now, historic=False)
        assert isinstance(outcome, Accepted), outcome


def test_customers_come_one_after_the_other_and_orders_among_them() -> None:
    told = [msgspec.json.decode(body)["type"] for body in shop_events.bodies(5, EVENTS)]
    assert told.count("customer.registered") < EVENTS / 2
    assert told.count("order.placed") > EVENTS / 100
