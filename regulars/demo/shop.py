"""The demo's shop: customers, carts, orders and all that follows, made from a seed; some of it late, twice, disordered.

What is made is a plan: which event is sent when, as an offset from the shop's opening; and, counted apart from the
services, what it must come to.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

DAYS = 60
CUSTOMERS = 400
REPEATED_SHARE = 0.05  # sent a second time, as platforms do
DISORDERED_SHARE = 0.05  # sent after what came next
LATE_SHARE = 0.03  # sent hours after it happened, and saying so
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINOR_PER_POINT = 100
# What becomes of an order: a draw from [0, 1) below the first of these it is under, else it is completed and kept.
NEVER_PAID, CANCELLED_UNPAID, CANCELLED_PAID, REFUNDED = 0.15, 0.20, 0.25, 0.31
REVIEWED_SHARE = 0.4
CURRENCY = "CNY"
IDS = ("order_id", "refund_id")  # in an event's data: what belongs to this shop alone, unlike its goods
HAPPENED = "happened"  # in a late event: when it happened, as an offset like Sent.at
SURNAMES, GIVEN = "王李张刘陈杨赵黄周吴", ("伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "洋", "艳")
GOODS = (
    ("mug", "kitchen", 3_900),
    ("kettle", "kitchen", 19_900),
    ("lamp", "home", 12_900),
    ("chair", "home", 45_900),
    ("mask box", "health", 2_900),
    ("phone case", "phone", 4_900),
    ("headphones", "phone", 39_900),
)


class Sent(NamedTuple):
    """One event as the shop's platform sends it, `at` after the shop opened."""

    at: timedelta
    event: dict[str, Any]


class Expected(NamedTuple):
    """What must come of the events, whatever order they arrive in."""

    purchases: dict[str, int]  # by customer: paid orders that were not cancelled
    points: dict[str, int]  # by customer, of completed orders less refunds
    dispatched: int  # orders


def plan(seed: int) -> list[Sent]:
    """All events in the order they are sent; the same seed, the same shop."""
    rng = random.Random(seed)
    events: list[Sent] = []
    for number in range(CUSTOMERS):
        events += _orders(rng, f"c{number:04d}", number)
        events += _around(rng, f"c{number:04d}")
    return _as_platforms_send(rng, events)


def renamed(sent: Iterable[Sent], prefix: str) -> list[Sent]:
    """The same of other customers with other orders: nothing in it has an id that the plan has, or another prefix."""
    return [Sent(at, _renamed(event, prefix)) for at, event in sent]


def once(sent: Iterable[Sent]) -> list[Sent]:
    """Without the repeats."""
    first: dict[str, Sent] = {}
    for one in sent:
        first.setdefault(one.event["id"], one)
    return list(first.values())


def expect(sent: list[Sent]) -> Expected:
    """Counts the plan's events, each once."""
    events = [one.event for one in once(sent)]
    of: dict[str, dict[str, Any]] = {}
    for event in events:
        if order_id := event["data"].get("order_id"):
            of.setdefault(order_id, {"customer": event["subject"]})[event["type"]] = event["data"]
    purchases, points = Counter[str](), Counter[str]()
    for order in of.values():
        purchases[order["customer"]] += "order.paid" in order and "order.cancelled" not in order
        if "order.completed" in order:
            kept = order["order.completed"]["amount"]["amount_minor"]
            kept -= order.get("order.refunded", {}).get("amount", {}).get("amount_minor", 0)
            points[order["customer"]] += kept // MINOR_PER_POINT
    return Expected(dict(purchases), dict(points), sum("shipment.dispatched" in order for order in of.values()))


def _renamed(event: dict[str, Any], prefix: str) -> dict[str, Any]:
    data = {name: prefix + value if name in IDS else value for name, value in event["data"].items()}
    return event | {"id": prefix + event["id"], "subject": prefix + event["subject"], "data": data}


def _orders(rng: random.Random, customer: str, number: int) -> Iterator[Sent]:
    """One order, more for some; first ones come on all days."""
    eager = rng.random() ** 3
    at = DAY * rng.uniform(0, DAYS)
    for index in range(1 + int(eager * 6)):
        yield from _order(rng, customer, f"o{number:04d}-{index}", at)
        at += DAY * rng.uniform(1, 25)


def _order(rng: random.Random, customer: str, order_id: str, at: timedelta) -> list[Sent]:
    name, category, price = rng.choice(GOODS)
    quantity = rng.choice((1, 1, 1, 2, 3))
    amount = {"amount_minor": price * quantity, "currency": CURRENCY}
    item = {"item_id": name.replace(" ", "-"), "name": name, "category": category, "quantity": quantity}
    made: list[Sent] = []

    def say(hours: float, event_type: str, **data: Any) -> None:
        nonlocal at
        at += HOUR * hours
        event_id = f"{order_id}:{event_type}"
        made.append(Sent(at, {"id": event_id, "type": event_type, "subject": customer, "data": data}))

    order = {"order_id": order_id}
    say(0, "cart.item_added", item=item)
    say(rng.uniform(0.2, 4), "order.placed", **order, amount=amount, items=[item])
    fate = rng.random()
    if fate < NEVER_PAID:
        return made
    if fate < CANCELLED_UNPAID:
        say(rng.uniform(1, 40), "order.cancelled", **order)
        return made
    say(rng.expovariate(1 / 6), "order.paid", **order, amount=amount)
    if fate < CANCELLED_PAID:
        say(rng.uniform(1, 20), "order.cancelled", **order)
        return made
    say(rng.uniform(4, 40), "shipment.dispatched", **order, carrier="SF")
    say(rng.uniform(20, 50), "shipment.arrived_in_city", **order, city="杭州")
    say(rng.uniform(2, 12), "shipment.out_for_delivery", **order)
    say(rng.uniform(1, 8), "shipment.delivered", **order)
    say(rng.uniform(24, 96), "order.completed", **order, amount=amount)
    if fate < REFUNDED:
        back = {"amount_minor": price * quantity // rng.choice((1, 2)), "currency": CURRENCY}
        say(rng.uniform(5, 60), "order.refunded", **order, refund_id=f"{order_id}-r1", amount=back)
    if rng.random() < REVIEWED_SHARE:
        stars, text = rng.choice(((5, "很喜欢，还会再来"), (5, "包装很用心"), (3, "物流有点慢")))
        say(rng.uniform(1, 50), "review.submitted", **order, rating=stars, has_photo=rng.choice((True, False)))
        made[-1].event["personal"] = {"review_text": text}
    return made


def _around(rng: random.Random, customer: str) -> Iterator[Sent]:
    """Who the person is, and visits in between."""
    name = rng.choice(SURNAMES) + rng.choice(GIVEN)
    phone = f"+86139{rng.randrange(10**8):08d}"
    personal = {"name": name, "phone": phone, "email": f"{customer}@example.com"}
    registered = {"id": f"{customer}:registered", "type": "customer.registered", "subject": customer}
    yield Sent(timedelta(0), registered | {"data": {"locale": "zh-CN", "city": "杭州"}, "personal": personal})
    for number in range(rng.randrange(8)):
        kind = rng.choice(("visit", "visit", "visit", "checkin", "share"))
        yield Sent(
            DAY * rng.uniform(0, DAYS),
            {"id": f"{customer}:{kind}:{number}", "type": kind, "subject": customer, "data": {}},
        )


def _as_platforms_send(rng: random.Random, events: list[Sent]) -> list[Sent]:
    """Sorted by time, then some repeated, some after what came next, some hours late; nothing after the last day."""
    sent: list[Sent] = []
    for at, event in sorted(events, key=lambda one: one.at):
        luck = rng.random()
        if luck < REPEATED_SHARE:
            sent += [Sent(at, event), Sent(at + HOUR * rng.uniform(0, 30), event)]
        elif luck < REPEATED_SHARE + DISORDERED_SHARE:
            sent.append(Sent(at + HOUR * rng.uniform(1, 12), event))
        elif luck < REPEATED_SHARE + DISORDERED_SHARE + LATE_SHARE:
            sent.append(Sent(at + HOUR * rng.uniform(2, 30), event | {HAPPENED: at}))
        else:
            sent.append(Sent(at, event))
    return sorted((one for one in sent if one.at <= DAY * DAYS), key=lambda one: one.at)
