"""A real shop's clickstream (`ga_merch_store`): as a client of Segment would send it, and what has to come of it.

Its traps: quantities that are missing or absurd, and purchases that are told up to 16 times, often without an amount or
with another one. The first that is told is what counts.
"""

import csv
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from common.contracts.ingest import MAX_QUANTITY

ARCHIVE = Path(__file__).parents[2] / "../shared/data/ga_merch_store.tar.zst"
UNPACK_TIMEOUT_S = 60
CARTS = {"add_to_cart": "Product Added", "remove_from_cart": "Product Removed"}
TYPES = {"add_to_cart": "cart.item_added", "remove_from_cart": "cart.item_removed"}
BOUGHT = "purchase"

Row = dict[str, str]


class Outcome(NamedTuple):
    """What the shop's facts are: how often each (type, item, pieces), each order's amount, how many people."""

    carts: Counter[tuple[str, str, int]]
    orders: dict[str, int]
    people: int

    def count(self, type_: str) -> int:
        """How many facts about carts of a type."""
        return sum(count for (of, _, _), count in self.carts.items() if of == type_)


def cannot_check(reason: str) -> NoReturn:
    """Said aloud: who lacks the data should know what was not looked at."""
    pytest.skip(f"NOT CHECKED AGAINST A REAL SHOP'S CARTS: {reason}")


def folder(unpack_into: Path) -> Path:
    """The folder with the files: named by $MERCH_STORE, or out of the archive beside the repository."""
    if given := os.environ.get("MERCH_STORE"):
        return Path(given)
    tar = shutil.which("tar")
    if not ARCHIVE.exists():
        cannot_check("set MERCH_STORE to the folder with its CSV files")
    if tar is None or shutil.which("zstd") is None:
        cannot_check("tar and zstd, which unpack its archive, are not both installed; or set MERCH_STORE to a folder")
    subprocess.run([tar, "--zstd", "-xf", ARCHIVE, "-C", unpack_into], check=True, timeout=UNPACK_TIMEOUT_S)
    return next(unpack_into.rglob("commerce_events.csv")).parent


def rows(of: Path) -> list[Row]:
    """What happened in carts and at the till, in the order it happened."""
    with (of / "commerce_events.csv").open(newline="", encoding="utf-8") as file:
        told = [row for row in csv.DictReader(file) if row["action"] in CARTS or row["action"] == BOUGHT]
    return sorted(told, key=lambda row: int(row["event_epoch_ms"]))


def messages(told: Sequence[Row]) -> list[dict[str, Any]]:
    """Segment's: one of each change of a cart, one of each time that a purchase was told."""
    sent: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in told:
        hit = (row["visitor_id"], row["visit_id"], row["hit_number"])
        product = _product(row)
        if row["action"] in CARTS:
            sent[*hit, row["action"], row["product_sku"]] = _message(row, CARTS[row["action"]], product)
            continue
        order: dict[str, Any] = {"order_id": row["transaction_id"], "currency": "USD", "products": []}
        if revenue := row["transaction_revenue_usd"]:
            order["total"] = float(revenue)
        message = sent.setdefault((*hit, BOUGHT, row["transaction_id"]), _message(row, "Order Completed", order))
        message["properties"]["products"].append(product)
    return [message | {"messageId": ":".join(key)} for key, message in sent.items()]


def _message(row: Row, event: str, properties: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(int(row["event_epoch_ms"]) / 1000, UTC).isoformat()
    told = {"type": "track", "event": event, "anonymousId": f"ga:{row['visitor_id']}", "timestamp": at}
    return told | {"properties": properties}


def _product(row: Row) -> dict[str, Any]:
    """As a browser says it: what it does not know is left out, whatever it believes is said."""
    told: dict[str, Any] = {"product_id": row["product_sku"], "price": float(row["price_usd"] or 0)}
    return told | ({"quantity": int(row["quantity"])} if row["quantity"] else {})


def reckoned(told: Sequence[Row]) -> Outcome:
    """The same straight from the rows."""
    carts: Counter[tuple[str, str, int]] = Counter()
    orders: dict[str, int] = {}
    for row in told:
        if row["action"] == BOUGHT:
            orders.setdefault(row["transaction_id"], int(Decimal(row["transaction_revenue_usd"] or 0) * 100))
        else:
            said = int(row["quantity"] or 1)
            carts[TYPES[row["action"]], row["product_sku"], said if 1 <= said <= MAX_QUANTITY else 1] += 1
    return Outcome(carts, orders, len({row["visitor_id"] for row in told}))
