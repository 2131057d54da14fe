"""Made-up folders of Olist files: orders and reviews under the real ones' names, in their columns that we read.

Unlike there, only what must be is quoted.
"""

import csv
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

REVIEWED_SHARE = 0.5

NAMES = {
    "customers": "customer_id customer_unique_id customer_zip_code_prefix customer_city customer_state",
    "orders": "order_id customer_id order_status order_purchase_timestamp order_approved_at"
    " order_delivered_carrier_date order_delivered_customer_date order_estimated_delivery_date",
    "order_payments": "order_id payment_sequential payment_type payment_installments payment_value",
    "order_reviews": "review_id order_id review_score review_comment_title review_comment_message"
    " review_creation_date review_answer_timestamp",
}


@dataclass(frozen=True)
class Order:
    """One order as the files tell it: times are naive local ones, an empty time is not known; `who` is the person."""

    order: str
    placed: str
    paid: str = ""
    carrier: str = ""
    delivered: str = ""
    status: str = "shipped"
    who: str = "ana"
    payments: tuple[str, ...] = ("10.00",)


@dataclass(frozen=True)
class Review:
    """One review of an order; without an answer time it has not happened."""

    order: str
    answered: str
    score: int = 5
    review: str = "r1"
    text: str = ""


def write(folder: Path, *rows: Order | Review) -> Path:
    """Writes the four files; every order has a customer_id of its own, as in the real ones. Gives the folder."""
    folder.mkdir(exist_ok=True)
    orders = [row for row in rows if isinstance(row, Order)]
    reviews = [row for row in rows if isinstance(row, Review)]
    _file(folder, "customers", ((f"c-{o.order}", o.who, "01310", "sao paulo", "SP") for o in orders))
    _file(
        folder,
        "orders",
        ((o.order, f"c-{o.order}", o.status, o.placed, o.paid, o.carrier, o.delivered, o.placed) for o in orders),
    )
    payments = ((o.order, str(n), "boleto", "1", value) for o in orders for n, value in enumerate(o.payments, 1))
    _file(folder, "order_payments", payments)
    _file(folder, "order_reviews", ((r.review, r.order, str(r.score), "", r.text, "", r.answered) for r in reviews))
    return folder


def path_of(folder: Path, name: str) -> Path:
    """The file of orders, customers, order_payments or order_reviews."""
    return folder / f"olist_{name}_dataset.csv"


def _file(folder: Path, name: str, rows: Iterable[tuple[str, ...]]) -> None:
    with path_of(folder, name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([NAMES[name].split(), *rows])


def random_rows(seed: int, orders: int) -> list[Order | Review]:
    """A shop of two years with about two orders a person: the same seed, the same rows."""
    rng = random.Random(seed)
    rows: list[Order | Review] = []
    for number in range(orders):
        at = datetime(2016, 10, 1) + timedelta(seconds=rng.randrange(690 * 86_400))  # noqa: DTZ001 - naive local times
        times: list[str] = []
        for hours in (0, 30, 70, 300):
            at += timedelta(seconds=rng.randrange(hours * 3_600 + 1))
            times.append(f"{at:%Y-%m-%d %H:%M:%S}")
        known = rng.choice((1, 2, 3, 4, 4, 4, 4))  # so many of its times
        placed, paid, carrier, delivered = (*times[:known], "", "", "", "")[:4]
        status = rng.choice(("delivered", "delivered", "delivered", "canceled", "unavailable", "shipped"))
        amounts = tuple(f"{rng.randrange(90_000) / 100:.2f}" for _ in range(rng.choice((1, 1, 1, 2, 0))))
        name = f"o{number:05d}"
        rows.append(
            Order(name, placed, paid, carrier, delivered, status, f"p{rng.randrange(orders // 2):05d}", amounts)
        )
        if delivered and rng.random() < REVIEWED_SHARE:
            rows.append(Review(name, delivered, rng.randrange(1, 6)))
    return rows
