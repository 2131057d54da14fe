"""Youzan: how a message is signed and written, and what each type of it says."""

import json
from hashlib import md5
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from common.contracts.envelope import Rejection
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored
from ingest.connectors.youzan.connector import CLIENT, SIGNATURE
from tests.unit.ingest.connectors.deliveries import events, read

YOUZAN = CONNECTORS["youzan"]
TID = "E20260101000000000000001"
SECRET = "a-secret"


def push(kind: str, msg: Any, status: str | None = None, **more: Any) -> Delivery:
    """One push, as today's are signed; `msg` encoded as it is given, or in the form style."""
    text = msg if isinstance(msg, str) else quote_plus(json.dumps(msg, ensure_ascii=False))
    body = {
        "client_id": "app1", "id": TID, "kdt_id": 1001, "kdt_name": "店", "mode": 1, "msg": text, "msg_id": "m1",
        "sendCount": 0, "sign": "0" * 32, "status": status, "test": False, "type": kind, "version": 1517126429,
    }  # fmt: skip
    return Delivery(json.dumps(body | more, ensure_ascii=False).encode(), {SIGNATURE: "?"})


def order(**head: Any) -> dict[str, Any]:
    return {
        "full_order_info": {
            "order_info": {
                "tid": TID, "created": "2026-01-01 10:00:00", "pay_time": "", "update_time": "2026-01-01 10:00:01",
                "pay_type": 10, "status": "WAIT_BUYER_PAY",
            } | head,
            "pay_info": {"payment": "29.90", "total_fee": "35.00", "phase_payments": []},
            "buyer_info": {"buyer_id": 9000000000000000001, "yz_open_id": "yzO1", "fans_id": 7,
                           "buyer_phone": "13800138000"},
            "address_info": {"receiver_name": "李雷", "receiver_tel": "138****0000", "delivery_province": "浙江省",
                             "delivery_city": "杭州市", "delivery_district": "西湖区", "delivery_address": "1号"},
            "orders": [
                {"item_id": 5, "sku_id": 0, "num": 2, "title": "茶", "payment": "20.00", "price": "12.00"},
                {"item_id": 6, "sku_id": 61, "num": 3, "title": "杯", "payment": "9.90"},
                {"item_id": 0, "num": 1, "title": "赠品", "payment": "0.00"},
            ],
        }
    }  # fmt: skip


def facts(delivery: Delivery, **options: Any) -> list[tuple[str, str | None, dict[str, Any]]]:
    return [(event["type"], event.get("time"), event["data"]) for event in events(read("youzan", delivery, **options))]


TOTAL = {"order_id": TID, "amount": {"amount_minor": 2990, "currency": "CNY"}}
BUYER = {"buyer": "youzan:9000000000000000001", "open_id": "youzan:yzO1"}
PLACED_AT, PAID_AT = "2026-01-01T10:00:00+08:00", "2026-01-01T10:05:00+08:00"
CITY = ("customer.updated", PLACED_AT, {"city": "杭州市"})


def signed(body: bytes, client: str = "app1", secret: str = SECRET) -> str:
    return md5(client.encode() + body + secret.encode(), usedforsecurity=False).hexdigest()


def test_the_signature_in_the_header() -> None:
    """printf 'app1{"type":"POINTS"}a-secret' | md5sum"""
    body = b'{"type":"POINTS"}'
    known = "8c671e40282cceb978815bc80373b6d6"
    assert signed(body) == known
    good = {SIGNATURE: known.upper(), CLIENT: "app1"}
    assert YOUZAN.is_signed(Delivery(body, good), SECRET)
    assert not YOUZAN.is_signed(Delivery(body + b" ", good), SECRET)
    assert not YOUZAN.is_signed(Delivery(body, good | {CLIENT: "app2"}), SECRET)
    assert not YOUZAN.is_signed(Delivery(body, good), "another")
    assert not YOUZAN.is_signed(Delivery(body), SECRET)
    named = b'{"type":"POINTS","client_id":"app1"}'  # no Client-Id: the body names the app
    assert YOUZAN.is_signed(Delivery(named, {SIGNATURE: signed(named)}), SECRET)


def test_the_older_signature_counts_only_where_there_is_no_header_and_it_is_allowed() -> None:
    msg = quote(json.dumps({"tid": TID, "update_time": "2026-01-01 10:00:00"}))
    sent = push("trade_TradeSellerShip", msg, sign=signed(msg.encode()))
    without = Delivery(sent.body)
    assert YOUZAN.is_signed(without, SECRET)
    assert not YOUZAN.is_signed(without, "another")
    assert not YOUZAN.is_signed(sent, SECRET)  # a header that is wrong is not made good by the body
    assert not YOUZAN.is_signed(Delivery(sent.body, {SIGNATURE: ""}), SECRET)
    outcome = read("youzan", without)
    assert isinstance(outcome, Rejection)
    assert (outcome.path, "body_sign" in outcome.reason) == ("$.sign", True)
    assert facts(without, body_sign=True)[0][0] == "shipment.dispatched"


def test_the_whole_order_tells_all_that_has_happened_to_it() -> None:
    (placed, city) = events(read("youzan", push("trade_TradeCreate", order())))
    assert (placed["type"], placed["time"], placed["identities"]) == ("order.placed", PLACED_AT, BUYER)
    assert placed["data"] == TOTAL | {
        "items": [
            {"item_id": "5", "quantity": 2, "name": "茶", "unit_price": {"amount_minor": 1000, "currency": "CNY"}},
            {"item_id": "6-61", "quantity": 3, "name": "杯", "unit_price": {"amount_minor": 330, "currency": "CNY"}},
        ]
    }
    assert placed["personal"] == {"phone": "13800138000", "name": "李雷", "address": "浙江省 杭州市 西湖区 1号"}
    assert (city["type"], city["data"], "personal" in city) == ("customer.updated", {"city": "杭州市"}, False)
    paid = push("trade_TradePaid", order(pay_time="2026-01-01 10:05:00", status="TRADE_PAID"))
    assert facts(paid)[1:] == [CITY, ("order.paid", PAID_AT, TOTAL)]
    assert [event["id"] for event in events(read("youzan", paid))][:2] == [placed["id"], city["id"]]


def test_what_waits_for_its_shipment_is_paid_once() -> None:
    paid = events(read("youzan", push("trade_TradePaid", order(pay_time="2026-01-01 10:05:00"))))[-1]
    again = events(read("youzan", push("trade_TradeBuyerPay", order(pay_time="2026-01-01 10:05:00"))))[-1]
    assert paid == again
    on_delivery = push("trade_TradeBuyerPay", order(pay_type=9))
    assert "order.paid" not in [fact[0] for fact in facts(on_delivery)]


def test_a_deposit_is_no_payment_in_full() -> None:
    msg = order(pay_time="2026-01-01 10:05:00")
    msg["full_order_info"]["pay_info"]["phase_payments"] = [
        {"phase": 1, "real_price": "5.00", "inner_transaction_no": "T1"},
        {"phase": 2, "real_price": "24.90", "inner_transaction_no": ""},
    ]
    part = {"order_id": TID, "payment_id": "T1", "amount": {"amount_minor": 500, "currency": "CNY"}}
    assert facts(push("trade_TradePaid", msg))[2:] == [("order.payment_received", PAID_AT, part)]
    assert facts(push("trade_TradeBuyerPay", msg))[2:] == [("order.paid", PAID_AT, TOTAL)]
    given_up = [fact[0] for fact in facts(push("trade_TradeClose", msg))[2:]]
    assert given_up == ["order.payment_received", "order.cancelled"]


@pytest.mark.parametrize(
    ("kind", "msg", "expected"),
    [
        ("trade_TradeSellerShip", {"express_no": "SF1"}, ("shipment.dispatched", {"shipment_id": "SF1"})),
        ("trade_TradePartlySellerShip", {"oids": "77"}, ("shipment.dispatched", {})),
        ("trade_TradeSuccess", {}, ("order.finished", {})),
        ("trade_TradeSuccess", {"payment": "29.90"}, ("order.completed", {"amount": TOTAL["amount"]})),
        ("trade_TradeClose", {"close_type": 4}, ("order.cancelled", {"reason": "cancelled by the buyer"})),
        ("trade_TradeClose", {"close_type": 99, "close_reason": "李雷 13800138000"}, ("order.cancelled", {})),
    ],
)
def test_what_has_changed(kind: str, msg: dict[str, Any], expected: tuple[str, dict[str, Any]]) -> None:
    """A reason that somebody may have written is not passed on."""
    delivery = push(kind, {"tid": TID, "update_time": "2026-01-02 08:00:00"} | msg)
    assert facts(delivery) == [(expected[0], "2026-01-02T08:00:00+08:00", {"order_id": TID} | expected[1])]


REFUND = {"tid": TID, "refund_id": "R1", "refunded_fee": "9.90", "update_time": "2026-01-03 08:00:00"}
REFUNDED = (
    "order.refunded",
    "2026-01-03T08:00:00+08:00",
    {"order_id": TID, "refund_id": "R1", "amount": {"amount_minor": 990, "currency": "CNY"}},
)


@pytest.mark.parametrize(
    ("kind", "refund_type", "expected"),
    [
        ("trade_refund_RefundSuccess", "REFUND_AND_RETURN", [REFUNDED]),
        ("trade_refund_SysRefund", None, [REFUNDED]),
        ("youzan_trade_RefundSuccess", "REFUND_ONLY", [REFUNDED]),
        ("youzan_trade_RefundSuccess", "EXCHANGE_GOODS_FLOW", None),
        ("trade_refund_RefundSellerAgree", "REFUND_ONLY", [REFUNDED]),
        ("trade_refund_RefundSellerAgree", "REFUND_AND_RETURN", None),  # the goods have to come back first
        ("youzan_trade_RefundSellerAgree", "REFUND_ONLY", None),  # RefundSuccess follows
        ("trade_refund_BuyerCreated", "REFUND_ONLY", None),
    ],
)
def test_refunds(kind: str, refund_type: str | None, expected: list[Any] | None) -> None:
    """Of the newer ones `msg` is an object."""
    body = json.loads(push(kind, "").body)
    body["msg"] = REFUND | {"refund_type": refund_type}
    as_object = Delivery(json.dumps(body).encode(), {SIGNATURE: "?"})
    for delivery in (as_object, push(kind, body["msg"])):
        outcome = read("youzan", delivery)
        assert isinstance(outcome, Ignored) if expected is None else facts(delivery) == expected, outcome


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("WAIT_BUYER_PAY", "order.placed"),
        ("WAIT_SELLER_SEND_GOODS", "order.paid"),
        ("WAIT_BUYER_CONFIRM_GOODS", "shipment.dispatched"),
        ("TRADE_BUYER_SIGNED", "shipment.delivered"),
        ("TRADE_SUCCESS", "order.completed"),
        ("TRADE_CLOSED", "order.cancelled"),
    ],
)
def test_the_old_types_say_it_by_the_state(status: str, expected: str) -> None:
    at = "2026-01-01 10:00:00"
    state = push("TRADE_ORDER_STATE", {"tid": TID, "status": status, "payment": "29.90", "update_time": at}, status)
    (fact,) = events(read("youzan", state))
    assert fact["type"] == expected
    old = {"tid": TID, "status": status, "payment": "29.90", "created": at, "pay_time": "", "update_time": at,
           "fans_info": {"buyer_id": "9000000000000000001", "fans_id": 0}, "receiver_mobile": "13800138000",
           "orders": []}  # fmt: skip
    whole = events(read("youzan", push("TRADE", {"trade": old})))
    assert whole[-1] | {"identities": None, "personal": None} == fact | {"identities": None, "personal": None}
    assert whole[0]["type"] == "order.placed"
    assert whole[0]["identities"] == {"buyer": "youzan:9000000000000000001"}


def test_what_is_paid_on_delivery_is_not_paid_when_it_waits_for_its_shipment() -> None:
    msg = {"tid": TID, "status": "WAIT_SELLER_SEND_GOODS", "payment": "1.00", "pay_type": "CODPAY"}
    assert isinstance(read("youzan", push("TRADE_ORDER_STATE", msg)), Ignored)


def customer(status: str, **msg: Any) -> Delivery:
    told = {"account_id": "42", "account_type": "YouZanAccount", "name": "李 雷", "gender": 1} | msg
    return push("SCRM_CUSTOMER_EVENT", told, status)


def test_customers() -> None:
    (registered,) = events(read("youzan", customer("CUSTOMER_CREATED", mobile="13800138000")))
    assert (registered["type"], registered["identities"]) == ("customer.registered", {"buyer": "youzan:42"})
    assert registered["personal"] == {"name": "李 雷", "phone": "13800138000"}
    (updated,) = events(read("youzan", customer("CUSTOMER_UPDATED", account_type="OpenUserId", account_id="yzO1")))
    assert updated["identities"] == {"open_id": "youzan:yzO1"}
    (phone,) = events(read("youzan", customer("CUSTOMER_CREATED", account_type="Mobile", account_id="13800138000")))
    assert "identities" not in phone
    assert phone["personal"]["phone"] == "13800138000"
    assert isinstance(read("youzan", customer("CUSTOMER_UPDATED", is_log_off=True)), Ignored)
    nobody = read("youzan", customer("CUSTOMER_CREATED", account_type="Nobody", account_id="x"))
    assert isinstance(nobody, Rejection)
    assert nobody.path == "$.msg.account_id"


def test_a_member_card_is_one_more_name() -> None:
    msg = {"card_no": "230597762487315507", "mobile": "13800138000", "fans_id": 0, "event_time": "2026-01-28 16:00:29"}
    (event,) = events(read("youzan", push("SCRM_CUSTOMER_CARD", msg, "CUSTOMER_CARD_GIVEN")))
    assert event["identities"] == {"card": "youzan:230597762487315507"}
    assert (event["type"], event["personal"]) == ("customer.updated", {"phone": "13800138000"})
    for status, changed in (("CUSTOMER_CARD_TAKEN", {"mobile": ""}), ("CUSTOMER_CARD_DELETED", {})):
        assert isinstance(read("youzan", push("SCRM_CUSTOMER_CARD", msg | changed, status)), Ignored)


def test_a_number_of_0_is_nobody() -> None:
    """Else all guests of a shop would be one person."""
    msg = order()
    msg["full_order_info"]["buyer_info"] = {"buyer_id": 0, "fans_id": 0, "yz_open_id": ""}
    assert all("identities" not in event for event in events(read("youzan", push("trade_TradeCreate", msg))))
    msg["full_order_info"]["buyer_info"]["fans_id"] = 77
    assert events(read("youzan", push("trade_TradeCreate", msg)))[0]["identities"] == {"buyer": "youzan:fans:77"}


@pytest.mark.parametrize(
    "encoded",
    [
        quote,  # spaces as %20
        lambda text: quote(text, safe=":,+"),  # and punctuation left alone, a plus too
        quote_plus,  # spaces as +
        lambda text: text,  # not at all
    ],
)
def test_both_ways_of_encoding(encoded: Any) -> None:
    text = json.dumps(order() | {"note": "1 + 1"}, ensure_ascii=False)
    assert facts(push("trade_TradeCreate", encoded(text)))[0][1] == PLACED_AT


def test_what_is_passed_over() -> None:
    assert read("youzan", push("trade_TradeCreate", order(), test=True)) == Ignored("a test push")
    for kind in ("POINTS", "ITEM_INFO", "trade_TradeMemoModified"):
        assert isinstance(read("youzan", push(kind, {})), Ignored)
    shop = push("trade_TradeCreate", order())
    assert isinstance(read("youzan", shop, kdt_id="1001"), Converted)
    assert read("youzan", shop, kdt_id="1002") == Ignored("another shop's")
    other_app = read("youzan", shop, client_id="app2")
    assert isinstance(other_app, Rejection)
    assert other_app.path == "$.client_id"


@pytest.mark.parametrize(
    ("kind", "msg", "path"),
    [
        ("trade_TradeCreate", {}, "$.msg.tid"),
        ("trade_TradeCreate", {"tid": TID}, "$.msg.payment"),
        ("trade_TradeClose", {"tid": TID, "update_time": "yesterday"}, "$.msg.update_time"),
        ("trade_TradeClose", "%7B%22tid%22%3A", "$.msg"),
        ("trade_TradeClose", "%FF", "$.msg"),
        ("youzan_trade_RefundSuccess", {"tid": TID, "refunded_fee": "1"}, "$.msg.refund_id"),
        ("youzan_trade_RefundSuccess", {"tid": TID, "refund_id": "R"}, "$.msg.refunded_fee"),
    ],
)
def test_what_cannot_be_read_says_where(kind: str, msg: Any, path: str) -> None:
    outcome = read("youzan", push(kind, msg))
    assert isinstance(outcome, Rejection)
    assert outcome.path == path


def test_the_answer_has_their_word() -> None:
    assert b"success" in YOUZAN.answer(push("POINTS", {}), None).body  # type: ignore[arg-type]
