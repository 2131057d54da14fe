"""Real shops' histories as tables of events: what happened to whom and when, in microseconds since 1970.

What a data set has not (messages, photos, topics of reviews) is drawn, the same at every run.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from tests.data_sets import folder_of

SEED = 20
DAY_US = 86_400_000_000
COLUMNS = ["customer", "kind", "at", "amount", "categories", "category", "rating", "photo", "topics", "journey"]
TOPICS = ["service", "product", "logistics"]


def read(name: str, customers: int) -> pd.DataFrame:
    """The events of some customers: of those with most to tell, and of some others."""
    events = _events(name)
    busy = events["customer"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable").index
    some = set(busy[: customers // 2]) | set(busy[customers // 2 :: max(1, 2 * len(busy) // customers)])
    events = _with_messages(events[events["customer"].isin(some)])
    events = events.reindex(columns=COLUMNS).reset_index(drop=True)
    for column in ("categories", "topics"):
        events[column] = events[column].map(lambda names: names if isinstance(names, tuple) else ())
    return events.assign(name=[f"n{number:07}" for number in range(len(events))])


@cache
def _events(name: str) -> pd.DataFrame:
    return READERS[name](folder_of(name))


def _with_messages(events: pd.DataFrame) -> pd.DataFrame:
    """Messages sent at random after purchases, a third of them opened."""
    random = np.random.default_rng(SEED)
    bought = events[events["kind"] == "purchase"].sort_values(["at", "customer"])
    sent = pd.DataFrame(
        {
            "customer": np.tile(bought["customer"].to_numpy(), 3),
            "kind": random.choice(["message.sent", "message.sent", "message.opened"], 3 * len(bought)),
            "at": np.tile(bought["at"].to_numpy(), 3) + random.integers(1, 120 * DAY_US, 3 * len(bought)),
            "journey": random.choice(["winback", "gift", "news"], 3 * len(bought)),
        }
    )
    return pd.concat([events, sent], ignore_index=True)


def _file(root: Path, name: str) -> Path:
    return next(root.rglob(name))


def _microseconds(times: pd.Series) -> pd.Series:
    return times.astype("datetime64[us, UTC]").astype("int64")


def _olist(root: Path) -> pd.DataFrame:
    customers = pd.read_csv(_file(root, "olist_customers_dataset.csv"), usecols=["customer_id", "customer_unique_id"])
    orders = pd.read_csv(_file(root, "olist_orders_dataset.csv")).merge(customers, on="customer_id")
    paid = pd.read_csv(_file(root, "olist_order_payments_dataset.csv")).groupby("order_id")["payment_value"].sum()
    products = pd.read_csv(_file(root, "olist_products_dataset.csv"), usecols=["product_id", "product_category_name"])
    items = pd.read_csv(_file(root, "olist_order_items_dataset.csv"), usecols=["order_id", "product_id"])
    categories = items.merge(products, on="product_id").dropna().groupby("order_id")["product_category_name"]
    bought = orders[orders["order_approved_at"].notna() & ~orders["order_status"].isin(["canceled", "unavailable"])]
    bought = pd.DataFrame(
        {
            "customer": bought["customer_unique_id"],
            "kind": "purchase",
            "at": _microseconds(pd.to_datetime(bought["order_approved_at"], utc=True)),
            "amount": (bought["order_id"].map(paid).fillna(0) * 100).round().astype("int64"),
            "categories": bought["order_id"].map(categories.agg(lambda each: tuple(sorted(set(each))))),
        }
    )
    reviews = pd.read_csv(_file(root, "olist_order_reviews_dataset.csv")).merge(orders, on="order_id")
    random = np.random.default_rng(SEED)
    reviewed = pd.DataFrame(
        {
            "customer": reviews["customer_unique_id"],
            "kind": "review.submitted",
            "at": _microseconds(pd.to_datetime(reviews["review_answer_timestamp"], utc=True)),
            "rating": reviews["review_score"],
            "photo": random.random(len(reviews)) < 0.2,
            "topics": [tuple(random.choice(TOPICS, random.integers(0, 3), replace=False)) for _ in range(len(reviews))],
        }
    )
    return pd.concat([bought, reviewed], ignore_index=True)


def _ga_merch_store(root: Path) -> pd.DataFrame:
    products = pd.read_csv(_file(root, "products.csv")).drop_duplicates("product_sku").set_index("product_sku")
    rows = pd.read_csv(
        _file(root, "commerce_events.csv"),
        usecols=["visitor_id", "event_epoch_ms", "action", "product_sku", "transaction_id", "transaction_revenue_usd"],
        dtype={"visitor_id": str, "product_sku": str, "transaction_id": str},
    ).sort_values("event_epoch_ms", kind="stable")
    rows["customer"], rows["at"] = rows["visitor_id"], rows["event_epoch_ms"] * 1_000
    rows["category"] = rows["product_sku"].map(products["product_category"])
    kinds = {"product_view": "visit", "product_click": "checkin", "add_to_cart": "cart.item_added"}
    seen = rows[rows["action"].isin(kinds)].assign(kind=lambda found: found["action"].map(kinds))
    sold = rows[(rows["action"] == "purchase") & rows["transaction_id"].notna()]
    of_order = sold.dropna(subset=["category"]).groupby("transaction_id")["category"]
    bought = sold.drop_duplicates("transaction_id")  # the first that is told counts
    bought = bought.assign(
        kind="purchase",
        amount=(bought["transaction_revenue_usd"].fillna(0) * 100).round().astype("int64"),
        categories=bought["transaction_id"].map(of_order.agg(lambda each: tuple(sorted(set(each))))),
    )
    return pd.concat([seen, bought], ignore_index=True)


def _taobao_userbehavior(root: Path) -> pd.DataFrame:
    rows = pd.read_csv(
        _file(root, "UserBehavior_first100k.csv"), names=["user", "item", "of", "action", "at_s"], dtype={"of": str}
    ).query("at_s > 0")
    kinds = {"pv": "visit", "cart": "cart.item_added", "fav": "share", "buy": "purchase"}
    buys = rows["action"] == "buy"
    return pd.DataFrame(
        {
            "customer": rows["user"].astype(str),
            "kind": rows["action"].map(kinds),
            "at": rows["at_s"] * 1_000_000,
            "category": rows["of"].where(~buys),
            "categories": rows["of"].where(buys).map(lambda of: (of,) if isinstance(of, str) else ()),
            "amount": (rows["item"] % 400 * 100).where(buys),  # prices are not told
        }
    )


READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    "olist": _olist,
    "ga_merch_store": _ga_merch_store,
    "taobao_userbehavior": _taobao_userbehavior,
}
