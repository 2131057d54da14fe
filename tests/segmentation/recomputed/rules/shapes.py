"""Random rules about a shop, and random shops, made from a seed.

Times and lengths of a random shop are multiples of half an hour, so that events lie exactly on the edges of windows
again and again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

Tree = dict[str, Any]
Fields = Mapping[str, Sequence[Any]]  # what each may hold

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
LENGTHS = ("30m", "3h", "24h", "36h", "2d", "7d", "30d")  # from the shortest to the longest

# What events of a kind are like: each field with what it may hold. None: sometimes it is not there.
KINDS: Mapping[str, Fields] = {
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
FACTS: Fields = {
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
    heard: datetime | None = None  # when it became known; None: as it happened
    gone: datetime | None = None  # when it was taken back, or became another; None: never


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


def random_shop(dice: Random, customers: int, most_events: int) -> Shop:
    """Some customers of whom nothing is known, some with much."""
    names = [f"c{number}" for number in range(customers)]
    events: list[Event] = []
    changes: list[Change] = []
    for name in names:
        for number in range(dice.choice((0, 2, most_events // 3, most_events))):
            kind = dice.choice(tuple(KINDS))
            about = {field: dice.choice(values) for field, values in KINDS[kind].items()}
            there = {field: value for field, value in about.items() if value is not None}
            events.append(Event(name, kind, f"{kind}/{number}", _slot(dice), there))
        for fact, values in FACTS.items():
            at_times = {_slot(dice) for _ in range(dice.choice((0, 0, 0, 1, 3)))} | {START}
            changes += [Change(name, fact, at, dice.choice(values)) for at in sorted(at_times)]
    listed = frozenset((each, name) for each in LISTS for name in names if dice.random() < 0.5)
    return Shop(names, events, changes, listed)


def _slot(dice: Random) -> datetime:
    return START + dice.randrange(SLOTS) * SLOT


class Speaker:
    """Says random rules about a shop, in its own words: `kinds` and `facts` with what their fields may hold."""

    def __init__(
        self,
        dice: Random,
        shop: Shop,
        kinds: Mapping[str, Fields] = KINDS,
        facts: Fields = FACTS,
        lengths: Sequence[str] = LENGTHS,
    ) -> None:
        self.dice, self.shop = dice, shop
        self._kinds, self._facts, self._lengths = kinds, facts, lengths
        self._lists = sorted({name for name, _ in shop.listed})

    def probe(self) -> tuple[str, datetime]:
        """Somebody, and an instant: mostly just when something may have changed, or the smallest step beside it."""
        off = self.dice.choice((0, 0, -1, 1, self.dice.randrange(10**9)))
        return self.dice.choice(self.shop.customers), self.moment() + timedelta(microseconds=off)

    def moment(self) -> datetime:
        """That of an event, or so long after one."""
        after = self.dice.choice((timedelta(), SLOT, timedelta(days=1), timedelta(days=7), timedelta(days=30)))
        return self.dice.choice(self.shop.events).at + after

    def tree(self, segments: Sequence[str] = (), depth: int = 3) -> Tree:
        """A rule as it is written."""
        dice = self.dice
        if depth and dice.random() < 0.55:
            inner = [self.tree(segments, depth - 1) for _ in range(dice.randint(1, 3))]
            return {dice.choice(("all", "any", "none")): inner}
        asks = [self._measure] * 6 + [self._then_not] * 2 + [self._fact] * (3 * bool(self._facts)) + [self._bucket]
        if segments and dice.random() < 0.1:
            return {"segment": dice.choice(segments)}
        if self._lists and dice.random() < 0.1:
            return {"list": dice.choice(self._lists)}
        return dice.choice(asks)()

    def _measure(self) -> Tree:
        dice = self.dice
        function = dice.choice(("count", "count", "sum", "average", "distinct", "first", "last"))
        kind = dice.choice(tuple(self._kinds))
        of, holds = kind, [0, 1, 2, 3, 4]
        if function in ("sum", "average", "distinct"):
            numbers = function != "distinct"
            fields = [name for name, each in self._kinds[kind].items() if not numbers or _a_number(each)]
            if not fields:
                return self._measure()
            field = dice.choice(fields)
            of = f"{kind}.{field}"
            if numbers:
                holds = [each for each in self._kinds[kind][field] if each is not None]
                holds += [2 * each + 1 for each in holds]
        asked: Tree = {function: of, **self._window(), **self._where(kind)}
        if function in ("first", "last"):
            if dice.random() < 0.7:
                return asked | {"op": dice.choice(("older_than", "younger_than")), "value": dice.choice(self._lengths)}
            if dice.random() < 0.5:
                return asked | {"op": "exists", "value": dice.random() < 0.5}
            return asked | {"op": dice.choice(("lt", "lte", "gt", "gte", "eq")), "value": self.moment().isoformat()}
        if function == "average" and dice.random() < 0.2:
            return asked | {"op": "exists", "value": dice.random() < 0.5}
        if dice.random() < 0.15:
            return asked | {"op": dice.choice(("in", "not_in")), "value": [dice.choice(holds), dice.choice(holds)]}
        return asked | {"op": dice.choice(("eq", "ne", "lt", "lte", "gt", "gte")), "value": dice.choice(holds)}

    def _window(self) -> Tree:
        since, until = sorted((self.moment(), self.moment() + SLOT))
        if since == until:
            return {}
        return self.dice.choice(
            (
                {},
                {"over": self.dice.choice(self._lengths)},
                {"over": self.dice.choice(self._lengths)},
                {"over": {"since": since.isoformat()}},
                {"over": {"since": since.date().isoformat()}},
                {"over": {"between": [since.isoformat(), until.isoformat()]}},
                {"over": {"calendar": self.dice.choice(("day", "week", "month"))}},
            )
        )

    def _where(self, kind: str) -> Tree:
        fields = self._kinds[kind]
        if not fields or self.dice.random() < 0.6:
            return {}
        if self.dice.random() < 0.3:
            inner = [self._comparison(fields) for _ in range(self.dice.randint(1, 3))]
            return {"where": {self.dice.choice(("all", "any", "none")): inner}}
        return {"where": self._comparison(fields)}

    def _comparison(self, fields: Fields) -> Tree:
        dice = self.dice
        field = dice.choice(tuple(fields))
        values = [each for each in fields[field] if each is not None]
        value = dice.choice(values)
        if dice.random() < 0.15:
            return {"field": field, "op": "exists", "value": dice.random() < 0.5}
        if isinstance(value, tuple):
            return {"field": field, "op": "contains", "value": dice.choice([one for many in values for one in many])}
        if isinstance(value, bool):
            return {"field": field, "op": dice.choice(("eq", "ne")), "value": value}
        if isinstance(value, int):
            return {"field": field, "op": dice.choice(("eq", "ne", "lt", "lte", "gt", "gte")), "value": value}
        if isinstance(value, datetime):
            if dice.random() < 0.6:
                op = dice.choice(("older_than", "younger_than"))
                return {"field": field, "op": op, "value": dice.choice(self._lengths)}
            return {"field": field, "op": dice.choice(("lt", "gte")), "value": value.isoformat()}
        return dice.choice(
            (
                {"field": field, "op": dice.choice(("eq", "ne")), "value": value},
                {"field": field, "op": dice.choice(("in", "not_in")), "value": sorted({value, dice.choice(values)})},
                {"field": field, "op": "starts_with", "value": value[:1]},
            )
        )

    def _then_not(self) -> Tree:
        dice, lengths = self.dice, self._lengths
        first, then = dice.choice(tuple(self._kinds)), dice.choice(tuple(self._kinds))
        window, number = self._window(), dice.randrange(len(lengths) - 1)
        if isinstance(window.get("over"), str):  # which must be longer than the time allowed
            window = {"over": dice.choice(lengths[number + 1 :])}
        elif "calendar" in window.get("over", {}):  # so must that
            window, number = {"over": {"calendar": "month"}}, min(number, 2)
        same = {"same": "order"} if {first, then} <= {"purchase", "order.placed"} and dice.random() < 0.5 else {}
        begun: Tree = {"of": first, **window, **self._where(first)}
        followed: Tree = {"of": then, **self._where(then)}
        return {"then_not": {"first": begun, "not": followed, "within": lengths[number]} | same}

    def _fact(self) -> Tree:
        return self._comparison(self._facts)

    def _bucket(self) -> Tree:
        low = self.dice.randint(0, 60)
        salt = self.dice.choice(("a", "spring"))
        return {"bucket": {"salt": salt, "from": low, "to": self.dice.randint(low + 1, 100)}}


def _a_number(values: Sequence[Any]) -> bool:
    return type(values[0]) is int
