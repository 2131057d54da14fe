"""Random stories of a few customers as the road tells them, and the same as plain tables, by hand.

News comes late and out of order, some of it twice; orders are paid before they are placed, cancelled before they are
paid, refunded in part; customers turn out to be one person. What the tables say is worked out here from nothing but the
story, for `oracle`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from common.contracts.envelope import Data
from common.contracts.ingest import (
    CartItemAdded,
    CheckIn,
    ConsentChanged,
    CustomerMerged,
    CustomerUpdated,
    Item,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ReviewSubmitted,
    ReviewTopic,
    Visit,
)
from common.money import Money
from tests.segmentation.recomputed.rules.shapes import (
    CATEGORIES,
    ITEMS,
    SLOT,
    START,
    TAGS,
    TOPICS,
    Change,
    Event,
    Fields,
    Shop,
)

CURRENCY = "CNY"
CUSTOMERS = ("c1", "c2", "c3")
AMOUNTS = (500, 9_900, 10_000, 30_001)
REFUNDED = 400

ORDERS = ("c1-o1", "c2-o1", "c3-o2")
KINDS: Mapping[str, Fields] = {
    "purchase": {
        "order": ORDERS,
        "amount": (*AMOUNTS, AMOUNTS[0] - REFUNDED),
        "pieces": (1, 2, 4),
        "items": (ITEMS[:1], ITEMS[1:3]),
        "categories": (CATEGORIES[:1], CATEGORIES[1:3]),
    },
    "order.placed": {"order": ORDERS, "amount": AMOUNTS, "items": (ITEMS[:1], ITEMS[1:3])},
    "order.refunded": {"order": ORDERS, "amount": (REFUNDED,)},
    "cart.item_added": {"item": ITEMS, "category": (*CATEGORIES, None), "quantity": (1, 2), "price": (500, None)},
    "review.submitted": {"rating": (1, 3, 5), "photo": (True, False), "topics": (TOPICS[:1], ()), "length": (12, None)},
    "visit": {"item": (*ITEMS, None), "category": (*CATEGORIES, None)},
    "checkin": {},
}
CONSENTS = ("sms.marketing", "email.marketing")
FACTS: Fields = {"tags": (("vip",), ("vip", "gift")), "refused": (CONSENTS, CONSENTS[:1])}


class News(NamedTuple):
    """What is told: of whom, when it happened, and when it was heard. The same number is the same news again."""

    number: int
    customer: str
    data: Data
    at: datetime
    heard: datetime


def story(dice: Random, length: int) -> list[News]:
    """In the order in which it is heard."""
    told: list[News] = []
    now, merged = START, set[str]()
    for number in range(length):
        now += dice.choice((timedelta(), SLOT, 3 * SLOT, timedelta(hours=20), timedelta(days=dice.randint(1, 9))))
        living = [name for name in CUSTOMERS if name not in merged]
        if told and dice.random() < 0.1:
            again = dice.choice(told)
            if not isinstance(again.data, CustomerMerged):
                told.append(again._replace(heard=now))
            continue
        if len(living) > 1 and dice.random() < 0.04:
            one, other = dice.sample(living, 2)
            merged.add(one)
            told.append(News(number, one, CustomerMerged(other), now, now))
            continue
        lag = dice.choice((timedelta(), timedelta(), SLOT, timedelta(hours=30), timedelta(days=dice.randint(1, 20))))
        customer = dice.choice(CUSTOMERS)
        told.append(News(number, customer, _data(dice, f"{customer}-o{dice.randint(1, 3)}"), now - lag, now))
    return told


def _data(dice: Random, order: str) -> Data:
    amount = Money(dice.choice(AMOUNTS), CURRENCY)
    item = Item(dice.choice(ITEMS), dice.choice((1, 2)), None, dice.choice((*CATEGORIES, None)))
    topics: Sequence[tuple[ReviewTopic, ...]] = (("service",), ())
    made: Sequence[Data] = (
        OrderPlaced(order, amount, (item, Item(dice.choice(ITEMS), 2, None, dice.choice(CATEGORIES)))),
        OrderPlaced(order, amount, (item,)),
        OrderPlaced(order, amount),
        OrderPaid(order, amount),
        OrderPaid(order, amount),
        OrderCancelled(order),
        OrderRefunded(order, dice.choice(("r1", "r2")), Money(REFUNDED, CURRENCY)),
        CartItemAdded(
            Item(item.item_id, item.quantity, None, item.category, dice.choice((Money(500, CURRENCY), None)))
        ),
        CartItemAdded(item),
        ReviewSubmitted(dice.choice((1, 3, 5)), None, None, dice.random() < 0.5, dice.choice(topics)),
        Visit(dice.choice((*ITEMS, None)), dice.choice((*CATEGORIES, None))),
        Visit(),
        CheckIn(),
        CustomerUpdated(tags_added=(dice.choice(TAGS),)),
        ConsentChanged(dice.choice(("sms", "email")), "marketing", dice.random() < 0.5),
    )
    return dice.choice(made)


def tables(told: Sequence[News], customers: Sequence[str] = CUSTOMERS, *, facts: bool = True) -> Shop:
    """The events and facts of each customer, from when on they were known and until when they were so."""
    lives = {customer: _owners(customer, told) for customer in customers}
    events = [
        event._replace(customer=owner, heard=max(event.heard or event.at, since), gone=_earliest(event.gone, until))
        for event in (*_happenings(told), *_of_orders(told))
        for owner, since, until in lives[event.customer]
        if (until is None or (event.heard or event.at) < until) and (event.gone is None or event.gone > since)
    ]
    changes = [change for customer in customers if facts for change in _changes(customer, told, lives)]
    return Shop(customers, events, changes, frozenset())


def _owners(customer: str, told: Sequence[News]) -> list[tuple[str, datetime, datetime | None]]:
    """Who the customer was, since when and until when."""
    owners: list[tuple[str, datetime, datetime | None]] = [(customer, datetime.min.replace(tzinfo=UTC), None)]
    for news in told:
        owner, since, _ = owners[-1]
        if isinstance(news.data, CustomerMerged) and news.customer == owner:
            owners[-1] = (owner, since, news.heard)
            owners.append((news.data.into, news.heard, None))
    return owners


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _happenings(told: Sequence[News]) -> Iterator[Event]:
    """What is an event by itself."""
    seen = set[int]()
    for number, customer, data, at, heard in told:
        if number in seen:
            continue
        seen.add(number)
        about: dict[str, Any]
        match data:
            case CartItemAdded(item):
                price = item.unit_price.amount_minor if item.unit_price else None
                about = {"item": item.item_id, "category": item.category, "quantity": item.quantity, "price": price}
            case ReviewSubmitted():
                about = {"rating": data.rating, "photo": data.has_photo, "topics": data.topics, "length": data.length}
            case Visit(item_id, category):
                about = {"item": item_id, "category": category}
            case CheckIn():
                about = {}
            case _:
                continue
        yield Event(customer, data.TYPE, str(number), at, about, heard)


def _of_orders(told: Sequence[News]) -> Iterator[Event]:
    """What each order was taken for, word by word: every word may make another event of it."""
    words: dict[str, list[News]] = {}
    for news in told:
        if (order := getattr(news.data, "order_id", None)) and not isinstance(news.data, ReviewSubmitted):
            words.setdefault(order, []).append(news)
    for order, heard in words.items():
        shown: dict[tuple[str, str], Event] = {}
        for count, news in enumerate(heard, start=1):
            now = {(event.kind, event.name): event for event in _order(order, heard[:count])}
            for key in [key for key, event in shown.items() if now.get(key) != event._replace(heard=None)]:
                yield shown.pop(key)._replace(gone=news.heard)
            for key in now.keys() - shown.keys():
                shown[key] = now[key]._replace(heard=news.heard)
        yield from shown.values()


def _order(order: str, words: Sequence[News]) -> Iterator[Event]:
    customer = words[0].customer
    placed = [(news.at, _content(news.data)) for news in words if isinstance(news.data, OrderPlaced)]
    _, (amount, content) = max(
        placed, key=lambda each: (each[0], each[1][0], *each[1][1].values()), default=(0, (0, {}))
    )
    if placed:
        about = {"order": order, "amount": amount, **content}
        yield Event(customer, "order.placed", order, min(at for at, _ in placed), about)
    back: dict[str, News] = {}
    for news in words:
        if isinstance(news.data, OrderRefunded):
            back.setdefault(news.data.refund_id, news)
    for refund, news in back.items():
        yield Event(customer, "order.refunded", f"{order}/{refund}", news.at, {"order": order, "amount": REFUNDED})
    paid = next((news for news in words if isinstance(news.data, OrderPaid)), None)
    if paid is not None and not any(isinstance(news.data, OrderCancelled) for news in words):
        assert isinstance(paid.data, OrderPaid)
        left = max(0, paid.data.amount.amount_minor - REFUNDED * len(back))
        yield Event(customer, "purchase", order, paid.at, {"order": order, "amount": left, **content})


def _newest(placed: Sequence[tuple[datetime, tuple[int, dict[str, Any]]]]) -> tuple[int, dict[str, Any]]:
    """Of two words at one time, the greater."""
    if not placed:
        return 0, {}
    return max(placed, key=lambda each: (each[0], each[1][0], *each[1][1].values()))[1]


def _content(placed: OrderPlaced) -> tuple[int, dict[str, Any]]:
    """Its amount, and what is in it; nothing is said of that where no line is told."""
    if not placed.items:
        return placed.amount.amount_minor, {}
    items = tuple(dict.fromkeys(line.item_id for line in placed.items))
    categories = tuple(dict.fromkeys(line.category for line in placed.items if line.category))
    pieces = sum(line.quantity for line in placed.items)
    return placed.amount.amount_minor, {"pieces": pieces, "items": items, "categories": categories}


def _changes(
    customer: str, told: Sequence[News], lives: Mapping[str, Sequence[tuple[str, datetime, datetime | None]]]
) -> Iterator[Change]:
    """What is known of a person whenever it may have become more: by its own news, or by a merge."""
    for at in sorted({news.heard for news in told}):
        mine = {
            name
            for name, owners in lives.items()
            if any(who == customer and since <= at and (until is None or at < until) for who, since, until in owners)
        }
        tags, consents = set[str](), dict[str, tuple[datetime, bool]]()
        for news in told:
            if news.heard > at or news.customer not in mine:
                continue
            if isinstance(news.data, CustomerUpdated):
                tags.update(news.data.tags_added)
            if isinstance(news.data, ConsentChanged):
                name, said = f"{news.data.channel}.{news.data.purpose}", (news.at, not news.data.granted)
                consents[name] = max(consents.get(name, said), said)
        yield Change(customer, "tags", at, tuple(sorted(tags)))
        yield Change(customer, "refused", at, tuple(sorted(name for name, (_, refused) in consents.items() if refused)))
