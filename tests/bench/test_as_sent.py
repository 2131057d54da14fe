"""The events that benchmarks send: nothing twice, the same from the same seed, and good enough for ingest."""

from datetime import UTC, datetime

import msgspec

from ingest.domain.accept import Accepted, accept
from regulars.bench import as_sent

EVENTS = 3_000


def test_nothing_comes_twice() -> None:
    ids = [event["id"] for seed in (1, 2) for event in as_sent.events(seed, EVENTS)]
    assert len(set(ids)) == len(ids) == 2 * EVENTS


def test_two_shops_share_their_goods_alone() -> None:
    first, second = (_ids(as_sent.events(seed, EVENTS)) for seed in (1, 2))
    assert {name for name, _ in first} == {"id", "subject", "order_id", "refund_id", "item_id"}
    assert {name for name, _ in first & second} == {"item_id"}


def _ids(told: object) -> set[tuple[str, str]]:
    """Whatever is named as an id, however deep it lies."""
    if isinstance(told, list):
        return set().union(*map(_ids, told))
    if not isinstance(told, dict):
        return set()
    own = {(name, value) for name, value in told.items() if name in {"id", "subject"} or name.endswith("_id")}
    return own.union(*map(_ids, told.values()))


def test_the_same_seed_gives_the_same_events_however_many() -> None:
    assert as_sent.bodies(3, 100) == as_sent.bodies(3, EVENTS)[:100]


def test_ingest_takes_them_all() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for body in as_sent.bodies(4, EVENTS):
        outcome = accept(body, "demo", "CNY", now, historic=False)
        assert isinstance(outcome, Accepted), outcome


def test_customers_come_one_after_the_other_and_orders_among_them() -> None:
    told = [msgspec.json.decode(body)["type"] for body in as_sent.bodies(5, EVENTS)]
    assert told.count("customer.registered") < EVENTS / 2
    assert told.count("order.placed") > EVENTS / 100
