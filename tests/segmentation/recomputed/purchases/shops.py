"""The real shops that models are checked on: their events as we read them, and what to call their customers."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb

from common.contracts.envelope import Data, Event
from common.ids import derived_id
from regulars.history import olist
from tests.data_sets import file_of
from tests.segmentation.recomputed.purchases.lived import HEARD, WHOLE, mapped
from tests.segmentation.recomputed.purchases.recompute import FILES, READ, Bounds

SHOP = "s"
OLIST_ORDERS = 500
# A row per invoice instead of one per line of it: our mappings read half a million lines in a quarter of a minute.
INVOICES = f"""COPY (
    SELECT InvoiceNo, 'all' AS StockCode, '' AS Description, 1 AS Quantity, min(InvoiceDate) AS InvoiceDate,
        sum(Quantity::INTEGER * UnitPrice::DECIMAL(18, 3)) AS UnitPrice, any_value(CustomerID) AS CustomerID,
        any_value(Country) AS Country
    FROM {READ} WHERE CustomerID IS NOT NULL AND NOT starts_with(InvoiceNo, 'C') GROUP BY InvoiceNo
) TO '{{}}' (HEADER)"""
BOUGHT = f"COPY (FROM {READ} WHERE action = 'purchase') TO '{{}}' (HEADER)"


class Kind(NamedTuple):
    """A shop: how it counts, and how to come by its events in a folder for what is made on the way."""

    name: str
    currency: str
    zone: str
    bounds: Bounds
    events: Callable[[Path], list[Event[Data]]]
    called: Callable[[str], str]  # the customer, by the name in the file


def online_retail(tmp: Path, mapping: str = "online_retail") -> list[Event[Data]]:
    """Its invoices."""
    return mapped(_less("online_retail", INVOICES, tmp), mapping, SHOP)


def cdnow(_: Path) -> list[Event[Data]]:
    """The sample's purchases."""
    return mapped(file_of("cdnow", FILES["cdnow"][0]), "cdnow_sample", SHOP)


def _ga_merch_store(tmp: Path) -> list[Event[Data]]:
    return mapped(_less("ga_merch_store", BOUGHT, tmp), "ga_merch_store", SHOP)


def _taobao(_: Path) -> list[Event[Data]]:
    return mapped(file_of("taobao_userbehavior", FILES["taobao_userbehavior"][0]), "taobao_userbehavior", SHOP)


def _olist(_: Path) -> list[Event[Data]]:
    folder = file_of("olist", "olist_orders_dataset.csv").parent
    return [
        event
        for event in olist.read(folder, orders=None if os.environ.get(WHOLE) else OLIST_ORDERS)
        if event.type in HEARD
    ]


def _less(name: str, query: str, tmp: Path) -> Path:
    file = file_of(name, FILES[name][0])
    if os.environ.get(WHOLE):
        return file
    duckdb.connect().execute(query.format(tmp / file.name), {"path": str(file)})
    return tmp / file.name


KINDS = (
    Kind("cdnow", "USD", "UTC", Bounds(1_500, 4_500, 7_500, 30_000), cdnow, "cdnow:{}".format),
    Kind(
        "online_retail",
        "GBP",
        "Europe/London",
        Bounds(1_200, 3_500, 6_000, 23_000),
        online_retail,
        "online_retail:{}".format,
    ),
    Kind(
        "ga_merch_store",
        "USD",
        "America/Los_Angeles",
        Bounds(1_500, 4_500, 7_500, 30_000),
        _ga_merch_store,
        lambda visitor: derived_id("anonymous", f"ga:{visitor}"),
    ),
    Kind("taobao_userbehavior", "CNY", "Asia/Shanghai", Bounds(cycle_days=2), _taobao, "taobao_userbehavior:{}".format),
    Kind("olist", "BRL", "America/Sao_Paulo", Bounds(), _olist, str),
)
