"""Pinduoduo's messages, with and without the frame they came in."""

import json
from typing import Any

import pytest

from ingest.connectors.port import Converted, Delivery, Ignored
from tests.unit.ingest.connectors.deliveries import events, read

TID = "260101-100000000000001"
MS, AT = 1767232800000, "2026-01-01T02:00:00Z"
ORDER = {"order_id": TID}


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"type": f"pdd_{kind}", "mallID": 100, "content": json.dumps({"mall_id": 100, "tid": TID} | content)}


def frame(told: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 9007199254740993, "commandType": "Common", "sendTime": MS, "message": told} | more


def sent(told: Any) -> Delivery:
    return Delivery(json.dumps(told).encode())


def fen(minor: int) -> dict[str, Any]:
    return {"amount": {"amount_minor": minor, "currency": "CNY"}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (message("trade_TradeSellerShip", modified=MS), ("shipment.dispatched", {})),
        (message("trade_TradeSuccess", modified=str(MS)), ("order.finished", {})),
        (message("trade_TradeConfirmed", modified=MS, pay_amount=1990), ("order.paid", fen(1990))),
        (
            message("refund_RefundAgreeAgreement", modified=MS, refund_id=7381745730, refund_fee=1990, bill_type=1),
            ("order.refunded", {"refund_id": "7381745730"} | fen(1990)),
        ),
    ],
)
def test_what_a_type_says(told: dict[str, Any], expected: tuple[str, dict[str, Any]]) -> None:
    plain = told | {"content": json.loads(told["content"])}
    for delivery in (sent(told), sent(frame(told)), sent([plain]), sent([frame(plain)])):
        (event,) = events(read("pinduoduo", delivery))
        assert (event["type"], event["time"], event["data"]) == (expected[0], AT, ORDER | expected[1])
        assert "identities" not in event


def test_the_frame_s_time_where_the_message_has_none() -> None:
    (event,) = events(read("pinduoduo", sent(frame(message("trade_TradeSellerShip")))))
    assert event["time"] == AT
    (event,) = events(read("pinduoduo", sent(message("trade_TradeSellerShip"))))
    assert "time" not in event


@pytest.mark.parametrize(
    "told",
    [
        message("trade_TradeConfirmed"),  # its amount is told nowhere
        message("refund_RefundCreated", refund_id=1, refund_fee=1),
        message("refund_RefundClosed", refund_id=1),
        message("refund_RefundAgreeAgreement", refund_id=1, refund_fee=0, bill_type=3),  # an exchange
        message("goods_GoodsUpdate"),
    ],
)
def test_what_is_passed_over(told: dict[str, Any]) -> None:
    assert isinstance(read("pinduoduo", sent(frame(told))), Ignored)


def test_of_two_shops_only_the_source_s_own() -> None:
    told = sent(frame(message("trade_TradeSuccess")))
    assert isinstance(read("pinduoduo", told, mall_id="100"), Converted)
    assert read("pinduoduo", told, mall_id="101") == Ignored("another shop's")


@pytest.mark.parametrize(
    ("told", "path"),
    [
        (message("trade_TradeSuccess", tid=None), "$.content.tid"),
        (frame(message("refund_RefundAgreeAgreement", refund_id=1)), "$.message.content.refund_fee"),
        (message("refund_RefundAgreeAgreement", refund_fee=1), "$.content.refund_id"),
        (message("refund_RefundAgreeAgreement", refund_id=1, refund_fee="1.5"), "$.content.refund_fee"),
        (message("trade_TradeSuccess", modified="today"), "$.content.modified"),
        (frame({"content": "{}"}), "$.message.type"),
        ({}, "$.type"),
    ],
)
def test_what_cannot_be_read_says_where(told: Any, path: str) -> None:
    outcome = read("pinduoduo", sent(told))
    assert isinstance(outcome, Converted)
    assert [rejection.path for rejection in outcome.rejections] == [path]
