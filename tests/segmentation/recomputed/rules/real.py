"""Three real shops' histories as events, read from their files with SQL: nothing of the product has a part in it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from random import Random
from typing import Any, NamedTuple

import duckdb

from common.contracts.envelope import Data
from common.contracts.ingest import CartItemAdded, Item, OrderCancelled, OrderPaid, OrderPlaced, ReviewSubmitted, Visit
from common.money import Money
from tests.data_sets import file_of
from tests.segmentation.recomputed.rules.oracle import EPOCH
from tests.segmentation.recomputed.rules.shapes import Event, Fields, Shop, Speaker
from tests.segmentation.recomputed.rules.story import CURRENCY, News

LENGTHS = ("1h", "24h", "7d", "30d", "90d", "365d")
BUSIEST, OTHERS = 500, 1_500  # customers taken
KEPT = 200  # events of a kind that the service keeps one by one
MOST_ITEMS = 50  # of an order: of more the service counts pieces alone
EXAMPLES = 12  # of what a field holds, for rules to ask about


class Source(NamedTuple):
    """Where a shop's files are, and how its events come out of them: customer, name, microseconds and fields, by kind.
    `tables` are what the queries call the files."""

    name: str
    file: str
    zone: str
    tables: Mapping[str, str]
    queries: Mapping[str, str]


def _olist_file(name: str) -> str:
    return f"read_csv('olist_{name}_dataset.csv')"


_OLIST_TABLES = {
    "orders": f"{_olist_file('orders')} JOIN {_olist_file('customers')} c USING (customer_id)",
    "goods": f"{_olist_file('order_items')} JOIN {_olist_file('products')} p USING (product_id)",
    "payments": _olist_file("order_payments"),
    "reviews": _olist_file("order_reviews"),
}
_OLIST_TIME = "epoch_us(timezone('America/Sao_Paulo', {}::TIMESTAMP))"
_OLIST_ORDERS = """SELECT customer_unique_id, order_id, {},
{{'order': order_id, 'amount': paid, 'pieces': pieces, 'items': items, 'categories': categories}} FROM orders
LEFT JOIN (SELECT order_id, round(100 * sum(payment_value))::BIGINT AS paid FROM payments GROUP BY ALL) USING (order_id)
LEFT JOIN (SELECT order_id, count(*) AS pieces, list(DISTINCT product_id ORDER BY product_id) AS items,
    list(DISTINCT product_category_name ORDER BY product_category_name)
      FILTER (product_category_name IS NOT NULL) AS categories FROM goods GROUP BY ALL) USING (order_id)
WHERE {} IS NOT NULL"""
_OLIST_REVIEWS = """SELECT customer_unique_id, order_id || review_id, {}, {{'rating': review_score}}
FROM reviews JOIN orders USING (order_id) WHERE review_answer_timestamp IS NOT NULL"""

_MERCH_CARTS = """SELECT visitor_id, 'c' || row_number() OVER (), 1000 * event_epoch_ms, {'item': product_sku,
'quantity': CASE WHEN quantity < 1000000 THEN quantity::BIGINT END, 'price': round(100 * price_usd)::BIGINT}
FROM happened WHERE action = 'add_to_cart'"""
_MERCH_VISITS = """SELECT visitor_id, 'v' || row_number() OVER (), 1000 * event_epoch_ms, {'item': product_sku}
FROM happened WHERE action = 'product_click'"""
# Each purchase is told several times: the first counts.
_MERCH_PURCHASES = """SELECT visitor_id, transaction_id, 1000 * min(event_epoch_ms), {'order': transaction_id,
'amount': round(100 * arg_min(transaction_revenue_usd, event_epoch_ms))::BIGINT,
'items': list(DISTINCT product_sku ORDER BY product_sku)}
FROM happened WHERE action = 'purchase' AND transaction_id IS NOT NULL GROUP BY visitor_id, transaction_id"""

_RETAIL_INVOICES = """SELECT CustomerID::BIGINT::VARCHAR, InvoiceNo,
epoch_us(timezone('Europe/London', min(InvoiceDate)::TIMESTAMP)), {{'order': InvoiceNo,
'amount': round(100 * abs(sum(Quantity * UnitPrice)))::BIGINT, 'pieces': abs(sum(Quantity))::BIGINT,
'items': list(DISTINCT StockCode ORDER BY StockCode)}}
FROM lines WHERE CustomerID IS NOT NULL AND {} starts_with(InvoiceNo, 'C') GROUP BY CustomerID, InvoiceNo"""

SOURCES = {
    "olist": Source(
        name="olist",
        file="olist_orders_dataset.csv",
        zone="America/Sao_Paulo",
        tables=_OLIST_TABLES,
        queries={
            "order.placed": _OLIST_ORDERS.format(
                _OLIST_TIME.format("order_purchase_timestamp"), "order_purchase_timestamp"
            ),
            "purchase": _OLIST_ORDERS.format(_OLIST_TIME.format("order_approved_at"), "order_approved_at"),
            "review.submitted": _OLIST_REVIEWS.format(_OLIST_TIME.format("review_answer_timestamp")),
        },
    ),
    "ga_merch_store": Source(
        name="ga_merch_store",
        file="commerce_events.csv",
        zone="America/Los_Angeles",
        tables={"happened": "read_csv('commerce_events.csv', types={'visitor_id': 'VARCHAR', 'quantity': 'DOUBLE'})"},
        queries={"cart.item_added": _MERCH_CARTS, "visit": _MERCH_VISITS, "purchase": _MERCH_PURCHASES},
    ),
    "online_retail": Source(
        name="online_retail",
        file="online_retail.csv",
        zone="Europe/London",
        tables={"lines": "read_csv('online_retail.csv', types={'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR'})"},
        queries={"purchase": _RETAIL_INVOICES.format("NOT"), "order.cancelled": _RETAIL_INVOICES.format("")},
    ),
}


def happened(source: Source) -> dict[str, list[Event]]:
    """Everything, by customer, those with most first."""
    db = duckdb.connect(config={"threads": 1})
    files = file_of(source.name, source.file).parent
    db.execute(f"SET file_search_path = '{files}'")
    for name, table in source.tables.items():
        db.execute(f"CREATE TABLE {name} AS SELECT * FROM {table}")
    events: dict[str, list[Event]] = {}
    for kind, query in source.queries.items():
        for customer, name, at, fields in db.execute(query).fetchall():
            about = {field: tuple(v) if isinstance(v, list) else v for field, v in fields.items() if v is not None}
            event = Event(customer, kind, str(name), EPOCH + timedelta(microseconds=at), about)
            events.setdefault(customer, []).append(event)
    return {customer: events[customer] for customer in sorted(events, key=lambda each: (-len(events[each]), each))}


def exact(events: Sequence[Event]) -> bool:
    """Whether a customer's events are no more than are kept one by one: of six in these shops they are."""
    return max(Counter(event.kind for event in events).values()) <= KEPT


def some(events: Mapping[str, list[Event]], dice: Random, busiest: int, others: int) -> list[str]:
    """The busiest customers, and some others."""
    customers = [*events]
    return [*customers[:busiest], *dice.sample(customers[busiest:], others)]


def speaker(events: Mapping[str, list[Event]], dice: Random) -> Speaker:
    """Who says rules about some of the shop's customers, in the shop's own words."""
    taken = some(events, dice, BUSIEST, OTHERS)
    shop = Shop(taken, [event for customer in taken for event in events[customer]], (), frozenset())
    return Speaker(dice, shop, kinds(shop.events, dice), {}, LENGTHS)


def told(events: Sequence[Event], dice: Random) -> list[News]:
    """What the road would be told of one customer's events, some of it late."""
    news: list[tuple[datetime, Event, Data]] = []
    kinds = {event.kind for event in events}
    for event in events:
        for data in _data(event, placed_too="order.placed" not in kinds):
            lag = dice.choice((timedelta(), timedelta(), timedelta(), timedelta(hours=5), timedelta(days=9)))
            news.append((event.at + lag, event, data))
    news.sort(key=lambda each: each[0])
    return [News(number, event.customer, data, event.at, heard) for number, (heard, event, data) in enumerate(news)]


def _data(event: Event, *, placed_too: bool) -> Iterator[Data]:
    about = event.about
    amount = Money(about.get("amount", 0), CURRENCY)
    lines = zip_longest(about.get("items", ())[:MOST_ITEMS], about.get("categories", ())[:MOST_ITEMS])
    items = tuple(Item(item, category=category) for item, category in lines if item)
    match event.kind:
        case "order.placed":
            yield OrderPlaced(event.name, amount, items)
        case "purchase":
            if placed_too:
                yield OrderPlaced(event.name, amount, items)
            yield OrderPaid(event.name, amount)
        case "order.cancelled":
            yield OrderCancelled(event.name)
        case "review.submitted":
            yield ReviewSubmitted(about["rating"])
        case "visit":
            yield Visit(about.get("item"))
        case "cart.item_added":
            price = Money(about["price"], CURRENCY) if "price" in about else None
            yield CartItemAdded(Item(about["item"], about.get("quantity") or 1, unit_price=price))
        case _:
            raise AssertionError(event.kind)


def kinds(events: Sequence[Event], dice: Random) -> Mapping[str, Fields]:
    """Each kind with its fields, and some of what they hold."""
    found: dict[str, dict[str, list[Any]]] = {}
    for event in events:
        for field, value in event.about.items():
            if value not in (None, ()):
                found.setdefault(event.kind, {}).setdefault(field, []).append(value)
    return {
        kind: {field: dice.sample(values, min(EXAMPLES, len(values))) for field, values in fields.items()}
        for kind, fields in found.items()
    }
