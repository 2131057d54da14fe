"""Douyin shop: an array of messages or one, amounts in fen, and what each tag says."""

import json
from typing import Any

import pytest

from common.contracts.envelope import Rejection
from ingest.connectors.douyin import APP, SIGNATURE
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored
from tests.unit.ingest.connectors.deliveries import events, read

DOUYIN = CONNECTORS["douyin"]
ORDER = 6917479013219536388  # above 2^53, and above 10^18
AT, IN_UTC = 1767232800, "2026-01-01T02:00:00Z"


def message(tag: str, **data: Any) -> dict[str, Any]:
    return {"tag": tag, "msg_id": f"{ORDER}:{tag}", "data": json.dumps({"p_id": ORDER, "shop_id": 4463798} | data)}


def call(*messages: Any) -> Delivery:
    return Delivery(json.dumps(messages).encode())


def facts(delivery: Delivery) -> list[tuple[str, str | None, dict[str, Any]]]:
    return [(event["type"], event.get("time"), event["data"]) for event in events(read("douyin", delivery))]


def money(minor: int) -> dict[str, Any]:
    return {"amount": {"amount_minor": minor, "currency": "CNY"}}


def test_the_signature() -> None:
    """printf 'key1[{"tag":"0"}]a-secret' | md5sum"""
    body = b'[{"tag":"0"}]'
    good = {SIGNATURE: "3e5875ad8de46cf6e88c77fc38eaf40d", APP: "key1"}
    assert DOUYIN.is_signed(Delivery(body, good), "a-secret")
    assert not DOUYIN.is_signed(Delivery(body, good), "another")
    assert not DOUYIN.is_signed(Delivery(body, good | {APP: "key2"}), "a-secret")
    assert not DOUYIN.is_signed(Delivery(body, {SIGNATURE: good[SIGNATURE]}), "a-secret")
    assert not DOUYIN.is_signed(Delivery(body), "a-secret")


def test_the_probe() -> None:
    for body in (b'[{"tag":"0","msg_id":"0","data":"x"}]', b'{"tag":"0"}', b'[{"tag":0}]'):
        assert DOUYIN.is_probe(Delivery(body)), body
        assert read("douyin", Delivery(body)) == Ignored("a probe")
    for body in (b"[]", b"x", b'[{"tag":"0"},{"tag":"101"}]', b'[{"tag":"101"}]', b"[[]]"):
        assert not DOUYIN.is_probe(Delivery(body)), body
    assert DOUYIN.answer(call(), None).body == b'{"code":0,"msg":"success"}'  # type: ignore[arg-type]


NUMBER = {"order_id": str(ORDER)}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (message("101", pay_amount=2990, pay_time=AT, pay_type=1), ("order.paid", money(2990))),
        (message("110", pay_amount="2990", pay_time=AT), ("order.paid", money(2990))),
        (
            message("102", update_time=AT, logistics_msg={"express_company_id": 7, "logistics_code": "SF1"}),
            ("shipment.dispatched", {"shipment_id": "SF1"}),
        ),
        (
            message("108", update_time=AT, logistics_msg={"logistics_code": "SF2", "pack_id": "1"}),
            ("shipment.dispatched", {"shipment_id": "SF2"}),
        ),
        (message("103", complete_time=str(AT)), ("order.finished", {})),
        (message("106", cancel_time=AT, cancel_reason="not wanted"), ("order.cancelled", {})),
        (
            message("206", success_time=AT, aftersale_id=7000000000000000001, refund_amount=990),
            ("order.refunded", {"refund_id": "7000000000000000001"} | money(990)),
        ),
    ],
)
def test_what_a_tag_says(sent: dict[str, Any], expected: tuple[str, dict[str, Any]]) -> None:
    """In an array, alone, and with its data not as a text."""
    alone = Delivery(json.dumps(sent).encode())
    plain = call(sent | {"data": json.loads(sent["data"])})
    for delivery in (call(sent), alone, plain):
        assert facts(delivery) == [(expected[0], IN_UTC, NUMBER | expected[1])]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (message("100", create_time=AT), "an order without its amount: tag 101 tells it"),
        (message("110"), "an order without its amount: tag 101 tells it"),
        (message("101", pay_amount=2990, pay_type=0), "an order that is paid on delivery"),
        (message("104"), "a tag that leads to no event"),
        (message("201", refund_amount=1), "a tag that leads to no event"),
    ],
)
def test_what_is_passed_over(sent: dict[str, Any], reason: str) -> None:
    assert read("douyin", call(sent)) == Ignored(reason)


def test_of_two_shops_only_the_source_s_own() -> None:
    own = call(message("103"))
    assert isinstance(read("douyin", own, shop_id="4463798"), Converted)
    assert read("douyin", own, shop_id="1") == Ignored("another shop's")


def test_one_that_cannot_be_read_does_not_keep_back_the_others() -> None:
    outcome = read("douyin", call({"tag": "101", "data": "{}"}, message("103"), 5))
    assert isinstance(outcome, Converted)
    assert [json.loads(event)["type"] for event in outcome.events] == ["order.finished"]
    assert [rejection.path for rejection in outcome.rejections] == ["$[0].data.p_id", "$[2]"]
    no_amount = read("douyin", call(message("101")))
    assert isinstance(no_amount, Converted)
    assert no_amount.rejections == (Rejection("$[0].data.pay_amount", "missing"),)


def test_parts_of_an_order_are_told_apart_and_repeats_are_not() -> None:
    first = message("108", logistics_msg={"logistics_code": "SF1"}, update_time=AT)
    second = message("108", logistics_msg={"logistics_code": "SF2"}, update_time=AT + 9)
    last = message("102", logistics_msg={"logistics_code": "SF2"}, update_time=AT + 10)
    ids = [event["id"] for event in events(read("douyin", call(first, second, first, last)))]
    assert ids == [ids[0], ids[1], ids[0], ids[1]]


def test_what_is_encrypted_is_left_out() -> None:
    receiver = {"name": "#abc#1##", "tel": "138****0000", "addr": "浙江省杭州市1号"}
    (event,) = events(read("douyin", call(message("102", receiver_msg=receiver, doudian_open_id="oA1"))))
    assert event["personal"] == {"phone": "138****0000", "address": "浙江省杭州市1号"}
    assert event["identities"] == {"open_id": "douyin:oA1"}
    sealed = {"name": "#a##", "tel": "$b$$", "addr": {"province": {"name": "浙江"}}}
    (event,) = events(read("douyin", call(message("102", receiver_msg=sealed))))
    assert "personal" not in event
