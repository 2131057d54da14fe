"""Random rules, histories and instants, made from a seed.

Times and lengths are multiples of half an hour, so that events lie exactly on the edges of windows again and again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

Tree = dict[str, Any]

START = datetime(2026, 2, 20, tzinfo=UTC)
DAYS = 60  # summer time begins within them, in Berlin as in New York
SLOT = timedelta(minutes=30)
SLOTS = DAYS * 48

CATEGORIES = ("tea", "cup", "kettle", "tin")
ITEMS = ("i1", "i2", "i3", "i4", "i5")
TOPICS = ("service", "product", "logistics")
CHANNELS = ("sms", "email")
TIERS = ("ordinary", "silver", "gold")
TAGS = ("vip", "office", "gift")
LISTS = ("staff", "fair")
LENGTHS = ("30m", "3h", "24h", "36h", "2d", "7d", "30d")

# What events of a kind are like: each field with what it may hold. None: sometimes it is not there.
KINDS: dict[str, dict[str, Sequence[Any]]] = {
    "purchase": {
        "order": ("o1", "o2", "o3", "o4"),
        "amount": (0, 500, 9_900, 10_000, 30_001),
        "pieces": (1, 2, 5, None),
        "items": (("i1",), ("i1", "i2"), ("i3", "i4", "i5"), ()),
        "categories": (("tea",), ("tea", "cup"), ("kettle",), None),
    },
    "order.placed": {
        "order": ("o1", "o2", "o3", "o4"),
        "amount": (500, 9_900, 10_000),
        "categories": (("tea",), ("cup", "tin")),
    },
    "cart.item_added": {
        "item": ITEMS,
        "category": (*CATEGORIES, None),
        "quantity": (1, 2, 3),
        "price": (500, 2_500, None),
    },
    "review.submitted": {
        "rating": (1, 3, 4, 5),
        "photo": (True, False),
        "topics": (TOPICS[:1], TOPICS[1:], ()),
        "length": (0, 12, 140, None),
    },
    "visit": {"item": (*ITEMS, None), "category": (*CATEGORIES, None)},
    "message.clicked": {"channel": CHANNELS, "journey": ("gift_30d", "cart"), "step": ("s1",)},
    "checkin": {},
}
# What is known of a person, which changes now and then.
FACTS: dict[str, Sequence[Any]] = {
    "tier": (*TIERS, None),
    "points": (0, 100, 250, 1_000),
    "tags": ((), ("vip",), ("vip", "gift"), ("office",)),
    "refused": ((), ("sms.marketing",), ("sms.marketing", "email.marketing")),
    "city": ("杭州", "Berlin", None),
    "cart.value": (0, 4_900, 20_000, None),
    "cart.categories": ((), ("tea",), ("tea", "tin")),
    "lifecycle": ("prospect", "new", "repeat", "loyal"),
    "churn.score": (0, 40, 80, None),
    "first_seen_at": (START, START + timedelta(days=10), None),
    "attributes.skin": ("dry", "oily", None),
}


class Event(NamedTuple):
    """One of a customer's."""

    customer: str
    kind: str
    name: str
    at: datetime
    about: dict[str, Any]


class Change(NamedTuple):
    """From when on a fact has a value; None: it is not there."""

    customer: str
    fact: str
    at: datetime
    value: Any


class Shop(NamedTuple):
    """A shop's customers with all that ever happened to them."""

    customers: Sequence[str]
    events: Sequence[Event]
    changes: Sequence[Change]
    listed: frozenset[tuple[str, str]]  # list, customer


def shop(dice: Random, customers: int, most_events: int) -> Shop:
    """Some customers of whom nothing is known, some with much."""
    names = [f"c{number}" for number in range(customers)]
    events, changes = [], []
    for name in names:
        for number in range(dice.choice((0, 2, most_events // 3, most_events))):
            kind = dice.choice(tuple(KINDS))
            about = {field: dice.choice(values) for field, values in KINDS[kind].items()}
            there = {field: value for field, value in about.items() if value is not None}
            events.append(Event(name, kind, f"{kind}/{number}", moment(dice), there))
        for fact, values in FACTS.items():
            at_times = {moment(dice) for _ in range(dice.choice((0, 0, 0, 1, 3)))} | {START}
            changes += [Change(name, fact, at, dice.choice(values)) for at in sorted(at_times)]
    listed = frozenset((each, name) for each in LISTS for name in names if dice.random() < 0.5)
    return Shop(names, events, changes, listed)


def moment(dice: Random) -> datetime:
    """Somewhere in the history."""
    return START + dice.randrange(SLOTS) * SLOT


def instant(dice: Random) -> datetime:
    """When somebody asks: mostly just when something may have changed, or an instant before or after."""
    off = dice.choice((0, 0, -1, 1, dice.randrange(10**9)))
    return moment(dice) + timedelta(microseconds=off)


def tree(dice: Random, segments: Sequence[str], depth: int = 3) -> Tree:
    """A rule as it is written."""
    if depth and dice.random() < 0.55:
        inner = [tree(dice, segments, depth - 1) for _ in range(dice.randint(1, 3))]
        return {dice.choice(("all", "any", "none")): inner}
    asks = (_measure,) * 6 + (_then_not,) * 2 + (_fact,) * 3 + (_bucket, _listed) + (_in_segment,) * bool(segments)
    return dice.choice(asks)(dice, segments)


def _measure(dice: Random, _: Sequence[str]) -> Tree:
    function = dice.choice(("count", "count", "sum", "average", "distinct", "first", "last"))
    kind = dice.choice(tuple(KINDS))
    of = kind
    if function in ("sum", "average", "distinct"):
        numbers = function != "distinct"
        fields = [name for name, holds in KINDS[kind].items() if not numbers or type(holds[0]) is int]
        if not fields:
            return _measure(dice, _)
        of = f"{kind}.{dice.choice(fields)}"
    asked: Tree = {function: of, **_window(dice), **_where(dice, kind)}
    if function in ("first", "last"):
        if dice.random() < 0.7:
            return asked | {"op": dice.choice(("older_than", "younger_than")), "value": dice.choice(LENGTHS)}
        if dice.random() < 0.5:
            return asked | {"op": "exists", "value": dice.random() < 0.5}
        return asked | {"op": dice.choice(("lt", "lte", "gt", "gte", "eq")), "value": moment(dice).isoformat()}
    if function == "average" and dice.random() < 0.2:
        return asked | {"op": "exists", "value": dice.random() < 0.5}
    near = dice.randint(0, 4) if function in ("count", "distinct") else dice.choice((0, 1, 3, 500, 9_900, 15_000))
    if dice.random() < 0.15:
        return asked | {"op": dice.choice(("in", "not_in")), "value": [near, near + 2]}
    return asked | {"op": dice.choice(("eq", "ne", "lt", "lte", "gt", "gte")), "value": near}


def _window(dice: Random) -> Tree:
    since, until = sorted((moment(dice), moment(dice) + SLOT))
    return dice.choice(
        (
            {},
            {"over": dice.choice(LENGTHS)},
            {"over": dice.choice(LENGTHS)},
            {"over": {"since": since.isoformat()}},
            {"over": {"since": since.date().isoformat()}},
            {"over": {"between": [since.isoformat(), until.isoformat()]}},
            {"over": {"calendar": dice.choice(("day", "week", "month"))}},
        )
    )


def _where(dice: Random, kind: str) -> Tree:
    if not KINDS[kind] or dice.random() < 0.6:
        return {}
    if dice.random() < 0.3:
        inner = [_comparison(dice, KINDS[kind]) for _ in range(dice.randint(1, 3))]
        return {"where": {dice.choice(("all", "any", "none")): inner}}
    return {"where": _comparison(dice, KINDS[kind])}


def _comparison(dice: Random, fields: dict[str, Sequence[Any]]) -> Tree:
    field = dice.choice(tuple(fields))
    value = dice.choice([each for each in fields[field] if each is not None])
    if dice.random() < 0.15:
        return {"field": field, "op": "exists", "value": dice.random() < 0.5}
    if isinstance(value, tuple):
        flat = [one for many in fields[field] for one in many or ()]
        return {"field": field, "op": "contains", "value": dice.choice(flat)}
    if isinstance(value, bool):
        return {"field": field, "op": dice.choice(("eq", "ne")), "value": value}
    if isinstance(value, int):
        return {"field": field, "op": dice.choice(("eq", "ne", "lt", "lte", "gt", "gte")), "value": value}
    if isinstance(value, datetime):
        if dice.random() < 0.6:
            op = dice.choice(("older_than", "younger_than"))
            return {"field": field, "op": op, "value": dice.choice(LENGTHS)}
        return {"field": field, "op": dice.choice(("lt", "gte")), "value": value.isoformat()}
    other = dice.choice([each for each in fields[field] if each is not None])
    return dice.choice(
        (
            {"field": field, "op": dice.choice(("eq", "ne")), "value": value},
            {"field": field, "op": dice.choice(("in", "not_in")), "value": sorted({value, other})},
            {"field": field, "op": "starts_with", "value": value[:1]},
        )
    )


def _then_not(dice: Random, _: Sequence[str]) -> Tree:
    first, then = dice.choice(tuple(KINDS)), dice.choice(tuple(KINDS))
    within = dice.choice(LENGTHS[:-1])
    window = _window(dice)
    while isinstance(window.get("over"), str) and LENGTHS.index(window["over"]) <= LENGTHS.index("2d"):
        window, within = _window(dice), dice.choice(("30m", "3h", "24h"))
    while isinstance(window.get("over"), str) and LENGTHS.index(window["over"]) <= LENGTHS.index(within):
        within = dice.choice(LENGTHS)
    same = {} if dice.random() < 0.5 or not {first, then} <= {"purchase", "order.placed"} else {"same": "order"}
    said: Tree = {"first": {"of": first, **window, **_where(dice, first)}, "not": {"of": then, **_where(dice, then)}}
    return {"then_not": said | {"within": within} | same}


def _fact(dice: Random, _: Sequence[str]) -> Tree:
    return _comparison(dice, FACTS)


def _bucket(dice: Random, _: Sequence[str]) -> Tree:
    low = dice.randint(0, 60)
    return {"bucket": {"salt": dice.choice(("a", "spring")), "from": low, "to": dice.randint(low + 1, 100)}}


def _listed(dice: Random, _: Sequence[str]) -> Tree:
    return {"list": dice.choice(LISTS)}


def _in_segment(dice: Random, segments: Sequence[str]) -> Tree:
    return {"segment": dice.choice(segments)}
