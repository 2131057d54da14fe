"""The Olist marketplace's order history (public CSV files) as our events, in the order they happened.

Facts and traps: a customer is `customer_unique_id` (customer_id is one per order); times are naive Sao Paulo time,
with summer time; an order's amount is the sum of its payments; a cancelled order has no time of its own.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from operator import itemgetter
from os import SEEK_END
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.contracts import ingest
from common.contracts.envelope import Data, Event
from common.money import Money

SHOP = "olist"
SOURCE = "olist"
ZONE = ZoneInfo("America/Sao_Paulo")
CURRENCY = "BRL"
AMOUNT = re.compile(r"(\d+)(?:\.(\d{1,2}))?")
SCORES = ("1", "2", "3", "4", "5")
NOT_FULFILLED = ("canceled", "unavailable")

COLUMNS = {
    "olist_orders_dataset.csv": (
        "order_id",
        "customer_id",
        "order_status",
        "order_purchase_timestamp",
        "order_approved_at",
        "order_delivered_carrier_date",
        "order_delivered_customer_date",
    ),
    "olist_customers_dataset.csv": ("customer_id", "customer_unique_id"),
    "olist_order_payments_dataset.csv": ("order_id", "payment_value"),
    "olist_order_reviews_dataset.csv": ("review_id", "order_id", "review_score", "review_answer_timestamp"),
}


class OlistError(Exception):
    """The folder does not hold the data set, or only half of it."""


class _Row(NamedTuple):
    """The columns that count of one line, and where it ends in its file."""

    place: str
    values: tuple[str, ...]


class _Order(NamedTuple):
    order_id: str
    customer_id: str
    status: str
    placed: datetime
    paid: datetime | None
    dispatched: datetime | None
    delivered: datetime | None
    amount: Money


def read(folder: Path, until: datetime | None = None, orders: int | None = None) -> list[Event[Data]]:
    """All events up to and including `until`, oldest first; received when they happened. With `orders`, those of the
    first customers (by id) that together have at least so many orders. Raises OlistError."""
    rows = {name: _rows(folder / name, columns) for name, columns in _checked(folder).items()}
    people = {customer_id: person for _, (customer_id, person) in rows["olist_customers_dataset.csv"]}
    paid = list(rows["olist_order_payments_dataset.csv"])
    amounts: defaultdict[str, int] = defaultdict(int)
    for place, (order_id, value) in paid:
        amounts[order_id] += _centavos(value, place)
    everything = [_order(row, people, amounts) for row in rows["olist_orders_dataset.csv"]]
    reviews = list(rows["olist_order_reviews_dataset.csv"])
    _belong_together({order.order_id for order in everything}, paid, 0)
    _belong_together({order.order_id for order in everything}, reviews, 1)
    chosen = _sample(everything, orders) if orders is not None else everything
    customer_of = {order.order_id: order.customer_id for order in chosen}
    told = [item for order in chosen for item in _events(order)]
    told += [
        item for row in reviews if row.values[1] in customer_of for item in _review(row, customer_of[row.values[1]])
    ]
    told.sort(key=itemgetter(0))
    return [event for (time, *_), event in told if until is None or time <= until]


Told = tuple[tuple[datetime, str, int, str], Event[Data]]  # sorted by time, order, step of the order, id


def _events(order: _Order) -> Iterator[Told]:
    oid, amount = order.order_id, order.amount
    steps: list[tuple[str, datetime | None, Data]] = [
        ("placed", order.placed, ingest.OrderPlaced(oid, amount)),
        ("paid", order.paid, ingest.OrderPaid(oid, amount)),
        ("dispatched", order.dispatched, ingest.ShipmentDispatched(oid)),
        ("delivered", order.delivered, ingest.ShipmentDelivered(oid)),
    ]
    if order.status == "delivered":
        steps.append(("completed", order.delivered, ingest.OrderCompleted(oid, amount)))
    if order.status in NOT_FULFILLED:
        latest = max(time for _, time, _ in steps if time is not None)
        steps.append(("cancelled", latest, ingest.OrderCancelled(oid)))
    for rank, (step, time, data) in enumerate(steps):
        if time is not None:
            yield (time, oid, rank, ""), _event(f"{oid}:{step}", order.customer_id, time, data)


def _review(row: _Row, customer_id: str) -> Iterator[Told]:
    review_id, order_id, score, answered = row.values
    time = _time(answered, row.place)
    if score not in SCORES:
        raise OlistError(f"{row.place}: {score!r} is not a score")
    if time is not None:
        data = ingest.ReviewSubmitted(rating=int(score), order_id=order_id)
        event = _event(f"{order_id}:review:{review_id}", customer_id, time, data)
        yield (time, order_id, len(COLUMNS["olist_orders_dataset.csv"]), review_id), event


def _event(event_id: str, customer_id: str, time: datetime, data: Data) -> Event[Data]:
    return Event(
        specversion="1.0",
        id=event_id,
        source=SOURCE,
        type=data.TYPE,
        shop_id=SHOP,
        customer_id=customer_id,
        occurred_at=time,
        received_at=time,
        data=data,
    )


def _order(row: _Row, people: dict[str, str], amounts: dict[str, int]) -> _Order:
    order_id, customer_id, status, *times = row.values
    placed, paid, dispatched, delivered = (_time(time, row.place) for time in times)
    if placed is None or customer_id not in people:
        raise OlistError(f"order {order_id} has no purchase time or no customer: the files do not belong together")
    amount = Money(amounts.get(order_id, 0), CURRENCY)
    return _Order(order_id, people[customer_id], status, placed, paid, dispatched, delivered, amount)


def _sample(orders: Iterable[_Order], at_least: int) -> list[_Order]:
    of_customer: defaultdict[str, list[_Order]] = defaultdict(list)
    for order in orders:
        of_customer[order.customer_id].append(order)
    chosen: list[_Order] = []
    for customer_id in sorted(of_customer):
        if len(chosen) >= at_least:
            break
        chosen += of_customer[customer_id]
    return chosen


def _belong_together(orders: set[str], rows: Iterable[_Row], column: int) -> None:
    """A file of orders that was cut off between two lines shows in what the others know of."""
    for place, values in rows:
        if values[column] not in orders:
            raise OlistError(
                f"{place} is of an order {values[column]!r} that olist_orders_dataset.csv does not have: "
                "the files do not belong together, or one is cut off"
            )


def _centavos(text: str, place: str) -> int:
    if (amount := AMOUNT.fullmatch(text)) is None:
        raise OlistError(f"{place}: {text!r} is not an amount")
    return int(amount[1] + (amount[2] or "").ljust(2, "0"))


def _time(text: str, place: str) -> datetime | None:
    try:
        return _utc(text)
    except ValueError:
        raise OlistError(f"{place}: {text!r} is not a time") from None


def _utc(local: str) -> datetime | None:
    return datetime.fromisoformat(local).replace(tzinfo=ZONE).astimezone(UTC) if local else None


def _checked(folder: Path) -> dict[str, tuple[str, ...]]:
    missing = [name for name in COLUMNS if not (folder / name).is_file()]
    if missing:
        raise OlistError(f"{folder} is not the Olist data set: {', '.join(missing)} not found")
    for name in COLUMNS:
        if not _ends_a_line(folder / name):
            raise OlistError(f"{name} is cut off: its last line has no end")
    return COLUMNS


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in (b"\n", b"")


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            if lacking := [name for name in columns if name not in header]:
                raise OlistError(f"{path.name} has no column {', '.join(lacking)}")
            at = [header.index(name) for name in columns]
            for row in reader:
                place = f"{path.name}:{reader.line_num}"
                if len(row) != len(header):
                    fault = "is cut off" if len(row) < len(header) else "has too much"
                    raise OlistError(f"{place} {fault}: {len(row)} of {len(header)} columns")
                yield _Row(place, tuple(row[index] for index in at))
        except UnicodeDecodeError as error:
            raise OlistError(f"{path.name} is not UTF-8: {error}") from None
        except csv.Error as error:
            raise OlistError(f"{path.name}:{reader.line_num}: {error}") from None
