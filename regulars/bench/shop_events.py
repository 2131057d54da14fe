"""What a shop sends, as much of it as a benchmark asks for: demo shops side by side, nothing of it twice."""

import heapq
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, islice
from typing import Any

import msgspec

from regulars.demo_shop import HAPPENED, Sent, plan

REGISTERED = "customer.registered"
SHOPS_AT_ONCE = 8  # of 400 customers each: neighbours in the stream are rarely the same customer's


def events(seed: int, limit: int) -> list[dict[str, Any]]:
    """The first `limit` events from this seed on; two seeds give nothing in common. Each happens when it is sent."""
    return list(islice(_endless(seed), limit))


def bodies(seed: int, limit: int) -> list[bytes]:
    """The same as they are posted, one by one."""
    return [msgspec.json.encode(event) for event in events(seed, limit)]


def _endless(seed: int) -> Iterator[dict[str, Any]]:
    for generation in count():
        numbers = range(generation * SHOPS_AT_ONCE, (generation + 1) * SHOPS_AT_ONCE)
        for _, event in heapq.merge(*(_renamed(seed, number) for number in numbers), key=lambda sent: sent.at):
            yield event


def _renamed(seed: int, number: int) -> list[Sent]:
    """One demo shop's plan without its repeats, its ids under a name of their own. Customers register when they first
    do something else, not all on the first day."""
    name = f"{seed}-{number}-"
    first: dict[str, Sent] = {}
    seen_at: dict[str, timedelta] = {}
    for at, event in plan(hash((seed, number))):
        first.setdefault(event["id"], Sent(at, event))
        if event["type"] != REGISTERED:
            seen_at.setdefault(event["subject"], at)
    sent = [Sent(seen_at.get(e["subject"], at) if e["type"] == REGISTERED else at, e) for at, e in first.values()]
    return [Sent(at, _under(name, event)) for at, event in sorted(sent, key=lambda one: one.at)]


def _under(name: str, event: dict[str, Any]) -> dict[str, Any]:
    data = {key: name + value if key in {"order_id", "refund_id"} else value for key, value in event["data"].items()}
    own = {"id": name + event["id"], "subject": name + event["subject"], "data": data}
    return {key: value for key, value in event.items() if key != HAPPENED} | own
