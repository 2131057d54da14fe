"""What a shop sends, as much of it as a benchmark asks for: demo shops side by side, nothing of it twice."""

import heapq
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, islice
from typing import Any

import msgspec

from regulars.demo.shop import HAPPENED, Sent, once, plan, renamed

REGISTERED = "customer.registered"
SHOPS_AT_ONCE = 8  # of 400 customers each: neighbours in the stream are rarely the same customer's
SHOPS_OF_A_SEED = 1_000_000  # more than anybody asks for: the shops of the next seed are others


def events(seed: int, limit: int) -> list[dict[str, Any]]:
    """The first `limit` events from this seed on; two seeds give nothing in common. Each happens when it is sent."""
    return list(islice(_endless(seed), limit))


def bodies(seed: int, limit: int) -> list[bytes]:
    """The same as they are posted, one by one."""
    return [msgspec.json.encode(event) for event in events(seed, limit)]


def _endless(seed: int) -> Iterator[dict[str, Any]]:
    for generation in count():
        numbers = range(generation * SHOPS_AT_ONCE, (generation + 1) * SHOPS_AT_ONCE)
        shops = (_shop(seed * SHOPS_OF_A_SEED + number) for number in numbers)
        for _, event in heapq.merge(*shops, key=lambda sent: sent.at):
            yield {key: value for key, value in event.items() if key != HAPPENED}


def _shop(number: int) -> list[Sent]:
    """Customers register when they first do something else, not all on the first day."""
    sent = once(renamed(plan(number), f"s{number}-"))
    seen_at: dict[str, timedelta] = {}
    for at, event in sent:
        if event["type"] != REGISTERED:
            seen_at.setdefault(event["subject"], at)
    moved = [Sent(seen_at.get(e["subject"], at) if e["type"] == REGISTERED else at, e) for at, e in sent]
    return sorted(moved, key=lambda one: one.at)
