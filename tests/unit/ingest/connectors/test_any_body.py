"""Whatever comes, a connector gives an outcome and never an exception, and the same one each time."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored, Outcome
from ingest.domain.accept import accept
from tests.unit.ingest.connectors.deliveries import origin

EXAMPLES = 500
NOW = datetime(2026, 3, 1, tzinfo=UTC)

TEXTS = st.sampled_from(
    ["", "0", "1", "3", "5", "1001", "202", "304", "404", "Delivered", "InTransit", "completed", "CNY", "USD", "12.50",
     "-3.00", "1e999999", "NaN", "2026-01-31 09:05:00", "2026-01-31T09:05:00", "0001-01-01T00:00:00", "tracking_update",
     "快件到达 【杭州】", "正在派送中", "杭州市", "customer=c1&order=o1&city=杭州", "a b\x00c", "13800138000"]
) | st.text(max_size=20)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
NAMES = st.sampled_from(
    ["status", "lastResult", "nu", "com", "state", "data", "time", "context", "statusCode", "areaName", "routeInfo",
     "to", "name", "Data", "EBusinessID", "LogisticCode", "OrderCode", "Callback", "State", "StateEx", "Traces",
     "AcceptTime", "AcceptStation", "Location", "Action", "event", "msg", "tag", "subtag", "tracking_number",
     "order_id", "custom_fields", "customer_id", "checkpoints", "checkpoint_time", "message", "city", "id", "currency",
     "total", "date_created_gmt", "date_paid_gmt", "billing", "email", "line_items", "product_id", "quantity",
     "refunds", "topic", "token", "total_price", "created_at", "updated_at", "financial_status", "fulfillments",
     "customer", "transactions", "quantity", "variant_id", "price"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8), max_leaves=25
)
# Near to what the platforms send, so that the search gets past the first field.


def mostly(*good: str) -> st.SearchStrategy[str]:
    """What is right three times of four: else one wrong field or another would end every body at once."""
    return st.sampled_from([True, True, True, False]).flatmap(lambda right: st.sampled_from(good) if right else TEXTS)


TIMES, IDS, AMOUNTS = mostly("2026-01-31 09:05:00"), mostly("c1"), mostly("12.50", "0")
LINE = st.fixed_dictionaries(
    {"time": TIMES}, optional={"context": TEXTS, "statusCode": SCALARS, "areaName": TEXTS, "status": TEXTS}
)
TRACE = st.fixed_dictionaries(
    {"AcceptTime": TIMES}, optional={"AcceptStation": TEXTS, "Location": TEXTS, "Action": TEXTS}
)
CHECKPOINT = st.fixed_dictionaries({"checkpoint_time": TIMES}, optional={"message": TEXTS, "tag": TEXTS, "city": TEXTS})
NEAR: dict[str, st.SearchStrategy[Any]] = {
    "kuaidi100": st.fixed_dictionaries(
        {
            "lastResult": st.fixed_dictionaries(
                {"nu": IDS, "state": TEXTS, "data": st.lists(LINE, max_size=4)},
                optional={
                    "com": TEXTS,
                    "routeInfo": st.fixed_dictionaries({"to": st.fixed_dictionaries({"name": TEXTS})}),
                },
            )
        }
    ),
    "kdniao": st.fixed_dictionaries(
        {
            "Data": st.lists(
                st.fixed_dictionaries(
                    {"LogisticCode": TEXTS, "Traces": st.lists(TRACE, max_size=3)},
                    optional={"StateEx": TEXTS, "State": TEXTS, "OrderCode": TEXTS, "Callback": TEXTS},
                ),
                max_size=3,
            )
        }
    ),
    "aftership": st.fixed_dictionaries(
        {
            "event": st.just("tracking_update"),
            "msg": st.fixed_dictionaries(
                {"tracking_number": IDS, "tag": TEXTS, "checkpoints": st.lists(CHECKPOINT, max_size=3)},
                optional={
                    "custom_fields": st.fixed_dictionaries({"customer_id": IDS, "order_id": IDS}),
                    "order_id": TEXTS,
                },
            ),
        }
    ),
    "woocommerce": st.fixed_dictionaries(
        {"id": st.integers(), "status": TEXTS, "currency": TEXTS, "total": AMOUNTS, "date_created_gmt": TIMES},
        optional={
            "date_paid_gmt": TIMES,
            "customer_id": st.integers(),
            "billing": st.dictionaries(NAMES, TEXTS, max_size=4),
            "line_items": st.lists(st.dictionaries(NAMES, SCALARS, max_size=5), max_size=3),
            "refunds": st.lists(st.fixed_dictionaries({"id": st.integers(), "total": AMOUNTS}), max_size=2),
        },
    ),
    "shopify": st.fixed_dictionaries(
        {"id": st.integers(), "currency": mostly("CNY"), "total_price": AMOUNTS, "created_at": TIMES},
        optional={
            "updated_at": TIMES,
            "financial_status": st.sampled_from(["paid", "refunded", "pending"]) | TEXTS,
            "cancelled_at": TIMES | st.none(),
            "current_total_price": AMOUNTS,
            "customer": st.dictionaries(NAMES, SCALARS, max_size=4),
            "cart_token": TEXTS,
            "email": TEXTS,
            "line_items": st.lists(st.dictionaries(NAMES, SCALARS, max_size=5), max_size=3),
            "fulfillments": st.lists(
                st.fixed_dictionaries({"id": st.integers(), "status": mostly("success"), "created_at": TIMES}),
                max_size=2,
            ),
            "refunds": st.lists(
                st.fixed_dictionaries(
                    {"id": st.integers()},
                    optional={
                        "transactions": st.lists(
                            st.fixed_dictionaries(
                                {"kind": mostly("refund"), "status": mostly("success"), "amount": AMOUNTS}
                            ),
                            max_size=2,
                        )
                    },
                ),
                max_size=2,
            ),
        },
    ),
}
FIELD = {"kuaidi100": "param", "kdniao": "RequestData"}
QUERIES: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {"order": IDS, "customer": IDS}, optional={"city": TEXTS}
) | st.just({})
HEADERS = {
    "x-wc-webhook-topic": "order.updated",
    "aftership-hmac-sha256": "?",
    "x-shopify-topic": "orders/updated",
}


def bodies(kind: str) -> st.SearchStrategy[bytes]:
    """Bodies near to and far from what the platform sends."""

    def wrapped(told: object) -> bytes:
        text = json.dumps(told)
        return urlencode({FIELD[kind]: text}).encode() if kind in FIELD else text.encode()

    return st.one_of(NEAR[kind].map(wrapped), NEAR[kind].map(wrapped), JSON.map(wrapped), st.binary(max_size=60))


@pytest.mark.parametrize("kind", CONNECTORS)
def test_no_body_is_too_much(kind: str) -> None:
    connector = CONNECTORS[kind]
    outcomes: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(body=bodies(kind), query=QUERIES)
    def law(body: bytes, query: dict[str, str]) -> None:
        delivery = Delivery(body, HEADERS, query)
        outcome: Outcome = connector.read(delivery, origin(kind))
        assert connector.read(delivery, origin(kind)) == outcome
        assert not connector.is_signed(delivery, "a secret")
        connector.is_probe(delivery)
        connector.answer(delivery, NOW)
        outcomes[type(outcome).__name__] += 1
        if isinstance(outcome, Converted):
            for event in outcome.events:
                accept(event, "shop", "CNY", NOW, historic=False)
        else:
            assert isinstance(outcome, Ignored) or outcome.path.startswith("$")

    law()
    assert outcomes["Rejection"], outcomes
    assert outcomes["Converted"], f"the search never got to an event: {outcomes}"
