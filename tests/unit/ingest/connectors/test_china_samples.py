"""Messages of Youzan, Taobao and Pinduoduo as they were really seen, read by hand once: skipped where they are not.

They are other people's data and stand beside the repository, never in it.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Rejection
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored
from ingest.domain.accept import accept
from ingest.feeds.pdd import path
from tests.tidy.tree import ROOT
from tests.unit.ingest.connectors.deliveries import origin, read

PAYLOADS = Path(os.environ.get("REGULARS_PAYLOADS", ROOT.parent / "shared" / "payloads"))

pytestmark = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="no samples beside the repository")

BY_HEADER = {"event-sign": "?"}
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def told(kind: str, name: str) -> list[dict[str, Any]]:
    """The events of a sample, without their ids, which nobody reads by hand."""
    outcome = read(kind, Delivery((PAYLOADS / kind / name).read_bytes(), BY_HEADER))
    assert isinstance(outcome, Converted), outcome
    assert not outcome.rejections
    events = [json.loads(event) for event in outcome.events]
    assert {event.pop("source") for event in events} == {"src_1"}
    ids = [event.pop("id") for event in events]
    assert len(set(ids)) == len(ids)
    return events


def fen(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "CNY"}


def test_youzan_an_order_that_was_paid() -> None:
    """0.01 yuan by a code at a till: created 10:17:34, paid 10:17:45, in Beijing. Nobody's address."""
    buyer = {"buyer": "youzan:900000001"}
    assert told("youzan", "trade_TradePaid.json") == [
        {
            "type": "order.placed",
            "time": "2018-09-18T10:17:34+08:00",
            "identities": buyer,
            "data": {
                "order_id": "E20180918101734022600020",
                "amount": fen(1),
                "items": [{"item_id": "2147483647", "name": "测试生成收款二维码", "unit_price": fen(1)}],
            },
        },
        {
            "type": "order.paid",
            "time": "2018-09-18T10:17:45+08:00",
            "identities": buyer,
            "data": {"order_id": "E20180918101734022600020", "amount": fen(1)},
        },
    ]


def test_youzan_an_order_of_the_old_kind_that_waits_for_its_payment() -> None:
    assert told("youzan", "TRADE_ORDER_STATE__WAIT_BUYER_PAY.json") == [
        {
            "type": "order.placed",
            "time": "2018-01-27T17:31:41+08:00",
            "data": {"order_id": "E20180127173141101500008", "amount": fen(2)},
        }
    ]


def test_youzan_a_customer_whose_spaces_are_plus_signs() -> None:
    assert told("youzan", "SCRM_CUSTOMER_EVENT__CUSTOMER_UPDATED.json") == [
        {
            "type": "customer.updated",
            "data": {},
            "identities": {"buyer": "youzan:100000001"},
            "personal": {"name": "测试客户"},
        }
    ]


def test_youzan_a_part_of_an_order_that_was_shipped() -> None:
    """Without a parcel number, and the space in its time written as a plus."""
    assert told("youzan", "trade_TradePartlySellerShip.json") == [
        {
            "type": "shipment.dispatched",
            "time": "2021-03-07T18:02:56+08:00",
            "data": {"order_id": "E20210307175649090904167"},
        }
    ]


def test_taobao_three_payments_in_one_answer() -> None:
    paid = told("taobao", "tmc_messages_consume_TradeBuyerPay_x3.json")
    assert [(event["type"], event["time"], event["data"]["order_id"], event["data"]["amount"]) for event in paid] == [
        ("order.paid", "2014-03-26T10:41:41+08:00", "586070597376760", fen(3036)),
        ("order.paid", "2014-03-25T21:59:21+08:00", "585608839663430", fen(4890)),
        ("order.paid", "2014-03-25T22:01:58+08:00", "586004403606066", fen(11146)),
    ]
    # 买家甲, buyer_b, buyer_c: in the test's pseudonym only their lengths are left
    assert [event["identities"] for event in paid] == [{"buyer": f"taobao:p{length}"} for length in (3, 7, 7)]


def test_taobao_a_parcel_that_left_a_station_is_no_news() -> None:
    sample = Delivery((PAYLOADS / "taobao" / "LogsticDetailTrace_DEPARTURE.json").read_bytes())
    assert read("taobao", sample) == Ignored("a line of a track that is none of the four steps")


def test_pinduoduo_a_refund_that_was_only_asked_for_is_none() -> None:
    sample = (PAYLOADS / "pinduoduo" / "pdd_refund_RefundCreated_message.json").read_bytes()
    assert read("pinduoduo", Delivery(sample)) == Ignored("a type that leads to no event")
    agreed = sample.replace(b"pdd_refund_RefundCreated", b"pdd_refund_RefundAgreeAgreement")
    outcome = read("pinduoduo", Delivery(agreed))
    assert isinstance(outcome, Converted)
    (event,) = [json.loads(event) for event in outcome.events]
    assert event["data"] == {
        "order_id": "210707-000000000000001",
        "refund_id": "7381745730",
        "amount": fen(1990),
    }
    assert event["time"] == "2021-07-07T05:57:05.016000Z"


def test_pinduoduo_the_address_that_signs_in() -> None:
    vector = json.loads((PAYLOADS / "_vectors" / "pinduoduo_vector_ws_auth_path.json").read_text(encoding="utf-8"))
    assert path(vector["client_id"], vector["client_secret"], vector["millis"]) == vector["path"]


@pytest.mark.parametrize("kind", ["youzan", "taobao", "pinduoduo"])
def test_all_samples_are_looked_at(kind: str) -> None:
    """A sample that is added later has to be read by somebody too."""
    seen = {
        "youzan": {
            "SCRM_CUSTOMER_EVENT__CUSTOMER_UPDATED.json", "TRADE_ORDER_STATE__WAIT_BUYER_PAY.json",
            "trade_TradePaid.json", "trade_TradePartlySellerShip.json",
        },
        "taobao": {"LogsticDetailTrace_DEPARTURE.json", "tmc_messages_consume_TradeBuyerPay_x3.json"},
        "pinduoduo": {"pdd_refund_RefundCreated_message.json"},
    }  # fmt: skip
    assert {sample.name for sample in (PAYLOADS / kind).glob("*.json")} == seen[kind]
    assert origin(kind).source_id == "src_1"


@pytest.mark.parametrize("kind", ["youzan", "taobao", "pinduoduo"])
@given(data=st.data())
def test_a_sample_that_was_damaged_is_never_too_much(kind: str, data: st.DataObject) -> None:
    """A piece of it is cut out, doubled, or something else put in its place."""
    sample = data.draw(st.sampled_from(sorted((PAYLOADS / kind).glob("*.json")))).read_bytes()
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 40)))
    piece = sample[start:end]
    instead = data.draw(st.sampled_from([b"", piece * 2, b"null", b"[]", b"%", b'"', b"-1", b"1e400"]) | st.binary())
    delivery = Delivery(sample[:start] + instead + sample[end:], BY_HEADER)
    outcome = read(kind, delivery)
    assert isinstance(outcome, Converted | Ignored | Rejection)
    if isinstance(outcome, Converted):
        for event in outcome.events:
            accept(event, "shop", "CNY", NOW, historic=False)
    CONNECTORS[kind].is_signed(Delivery(delivery.body), "a secret")
