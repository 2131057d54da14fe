"""What all of Shopify's bodies have in common: the source's options, headers, ids, amounts and times."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from common.contracts.envelope import Data, Rejection
from common.money import Money
from ingest.connectors.port import Delivery, Fault
from ingest.connectors.reading import money
from ingest.connectors.values import identifier

PREFIXES = ("x-shopify-", "shopify-")  # of headers' names; the second is that of Shopify's newer deliveries
CURRENCY_CHARS = 3  # ISO 4217

Number = int | str | None  # an id: exact however long it is, since it is never a float
Amount = str | int | None  # in major units
Fact = tuple[tuple[str, ...], datetime | None, Data]  # what makes its id, when, what


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`customers`: stands before the numbers of Shopify's customers, which are nobody else's then. `completed`: what
    ends a paid order, since Shopify has no word for it. `test_orders`: whether orders without money behind them count.
    """

    customers: Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[\w.:-]+$")] = "shopify"
    completed: Literal["fulfilled", "delivered", "closed"] = "fulfilled"
    test_orders: bool = False


class InACurrency(Struct, frozen=True):
    """An amount in one currency."""

    amount: Amount = None
    currency_code: str | None = None


class MoneySet(Struct, frozen=True):
    """An amount in the shop's currency, and in the one the customer saw: the first is what counts."""

    shop_money: InACurrency | None = None


def header(delivery: Delivery, name: str) -> str:
    """A header under either name, empty where there is none."""
    return next((said for prefix in PREFIXES if (said := delivery.headers.get(prefix + name))), "")


def id_of(value: Number) -> str | None:
    """An id, if it is one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else identifier(value)


def amount_of(amount: Amount, in_both: MoneySet | None, currency: str | None, path: str) -> Money:
    """An amount, digit for digit: in the shop's currency where that is told, else in the one named."""
    if in_both is not None and in_both.shop_money is not None and in_both.shop_money.amount is not None:
        amount, currency = in_both.shop_money.amount, in_both.shop_money.currency_code or currency
    if currency is None or len(currency) != CURRENCY_CHARS or not (currency.isascii() and currency.isupper()):
        raise Fault(Rejection(path, "names no currency"))
    return money(amount, currency, path)
