"""What the services are fed with is the same every time, in order, and nothing of it twice."""

from common.contracts.envelope import Decoder, encode
from common.contracts.journeys import MessageRequested
from common.contracts.topics import INGEST_EVENTS
from regulars.bench.as_received import customers_of, message_requests, orders_completed, shop_events

COUNT = 8_000  # more than one shop's, so that two are mixed


def test_shop_events_are_as_ingest_would_tell_them() -> None:
    events = shop_events(COUNT)
    assert len(events) == COUNT
    assert len({event.id for event in events}) == COUNT
    assert customers_of(events) > 400
    assert [event.received_at for event in events] == sorted(event.received_at for event in events)
    assert all(event.occurred_at <= event.received_at for event in events)
    decoder = Decoder(INGEST_EVENTS.events)
    assert [decoder.decode(encode(event)) for event in events[:1_000]] == events[:1_000]


def test_the_same_every_time() -> None:
    assert shop_events(500) == shop_events(500)
    assert message_requests(100) == message_requests(100)


def test_requests_are_requests_alone_and_different() -> None:
    asked = message_requests(300)
    keys = {fact.data.message_key for fact in asked if isinstance(fact.data, MessageRequested)}
    assert len(asked) == len(keys) == 300


def test_every_customer_completes_as_many_orders() -> None:
    events = orders_completed(customers=7, of_each=3)
    assert len(events) == 21
    assert customers_of(events) == 7
    assert len({event.id for event in events}) == 21
