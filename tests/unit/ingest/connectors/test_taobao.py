"""Taobao's and Tmall's messages: every shape they come in, every topic, and the traps in them."""

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from common.contracts.envelope import Rejection
from ingest.connectors.forwarded import SIGNATURE
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored
from ingest.connectors.taobao.parcels import TRACE
from tests.unit.ingest.connectors.deliveries import events, read

TAOBAO = CONNECTORS["taobao"]
TID = 4153871521512345678  # above 2^53, and above 10^18
AT = "2026-01-01T10:00:00+08:00"
ORDER = {"order_id": str(TID)}


def message(topic: str, *, text: bool = True, city: str | None = None, **content: Any) -> dict[str, Any]:
    told = {"tid": TID, "oid": TID, "buyer_nick": "小明", "seller_nick": "店"} | content
    body = json.dumps(told, ensure_ascii=False) if text else told
    made = {"topic": topic, "content": body, "id": 6142200092063758446, "pub_time": "2026-01-01 10:00:00"}
    return made | ({"city": city} if city else {})


def sent(*messages: Any) -> Delivery:
    return Delivery(json.dumps(messages[0] if len(messages) == 1 else messages, ensure_ascii=False).encode())


def fact(delivery: Delivery) -> tuple[str, str | None, dict[str, Any]]:
    (event,) = events(read("taobao", delivery))
    return event["type"], event.get("time"), event["data"]


def yuan(minor: int) -> dict[str, Any]:
    return {"amount": {"amount_minor": minor, "currency": "CNY"}}


def test_what_is_passed_on_is_signed_our_way() -> None:
    body = sent(message("taobao_trade_TradeCreate")).body
    signature = hmac.new(b"a-secret", body, sha256).hexdigest()
    assert TAOBAO.is_signed(Delivery(body, {SIGNATURE: signature}), "a-secret")
    assert TAOBAO.is_signed(Delivery(body, {SIGNATURE: signature.upper()}), "a-secret")
    assert not TAOBAO.is_signed(Delivery(body, {SIGNATURE: signature}), "another")
    assert not TAOBAO.is_signed(Delivery(body), "a-secret")


@pytest.mark.parametrize(
    ("topic", "content", "expected"),
    [
        ("TradeCreate", {"payment": "30.36"}, ("order.placed", yuan(3036))),
        ("TradeModifyFee", {"payment": "25.00"}, ("order.updated", yuan(2500))),
        ("TradeBuyerPay", {"payment": 30.36}, ("order.paid", yuan(3036))),
        ("TradeSellerShip", {}, ("shipment.dispatched", {})),
        ("TradePartlySellerShip", {}, ("shipment.dispatched", {})),
        ("TradeSuccess", {"payment": "30.36"}, ("order.completed", yuan(3036))),
        ("TradeSuccess", {}, ("order.finished", {})),
        ("TradeClose", {"status": "TRADE_CLOSED_BY_TAOBAO"}, ("order.cancelled", {"reason": "not paid"})),
        ("TradeClose", {"status": "TRADE_CLOSED"}, ("order.cancelled", {"reason": "refunded"})),
        ("TradeClose", {}, ("order.cancelled", {})),
    ],
)
def test_trades(topic: str, content: dict[str, Any], expected: tuple[str, dict[str, Any]]) -> None:
    """The content as a text and by itself."""
    for text in (True, False):
        told = message(f"taobao_trade_{topic}", text=text, **content)
        assert fact(sent(told)) == (expected[0], AT, ORDER | expected[1])


def test_a_deposit() -> None:
    kind, at, data = fact(sent(message("taobao_trade_TradeBuyerStepPay", payment="50.00")))
    assert (kind, at) == ("order.payment_received", AT)
    assert data == ORDER | yuan(5000) | {"payment_id": f"{TID}-deposit"}
    of_more = message("taobao_trade_TradeBuyerStepPay", payment="300.00", step_paid_fee="50.00")
    assert fact(sent(of_more))[2] == data


@pytest.mark.parametrize(
    ("topic", "content"),
    [
        ("taobao_trade_TradeClose", {"status": "WAIT_SELLER_SEND_GOODS"}),  # the rest of the order goes on
        ("taobao_trade_TradeRated", {"rater": "buyer"}),  # without its stars
        ("taobao_trade_TradeRated", {"rater": "seller"}),
        ("taobao_trade_TradeMemoModified", {"seller_memo": "x"}),
        ("taobao_refund_RefundCreated", {"refund_id": 1, "refund_fee": "1.00"}),
        ("taobao_item_ItemAdd", {}),
    ],
)
def test_what_is_passed_over(topic: str, content: dict[str, Any]) -> None:
    assert isinstance(read("taobao", sent(message(topic, **content))), Ignored)


def test_refunds() -> None:
    told = message("taobao_refund_RefundSuccess", refund_id="91", refund_fee="9.90", modified="2026-01-02 08:00:00")
    data = ORDER | {"refund_id": "91"} | yuan(990)
    assert fact(sent(told)) == ("order.refunded", "2026-01-02T08:00:00+08:00", data)


def trace(action: str, desc: str = "", city: str | None = None, **content: Any) -> Delivery:
    told = {"action": action, "desc": desc, "time": "2026-01-01 10:00:00", "tid": TID, "out_sid": "SF1"} | content
    made = {"topic": TRACE, "content": json.dumps(told, ensure_ascii=False)}
    return sent(made | ({"city": city} if city else {}))


PARCEL = ORDER | {"shipment_id": "SF1"}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("CONSIGN", "dispatched"),
        ("SENT_CITY", "arrived_in_city"),
        ("SENT_SCAN", "out_for_delivery"),
        ("TMS_DELIVERING", "out_for_delivery"),
        ("SIGNED", "delivered"),
        ("TMS_SIGN", "delivered"),
        ("STA_SIGN", "delivered"),
    ],
)
def test_a_parcel(action: str, expected: str) -> None:
    """Without any city: these actions are exact. Nobody is named: it is known by its order."""
    (event,) = events(read("taobao", trace(action, "[深圳市]深圳分拨中心", tid=str(TID))))
    assert (event["type"], event["time"], event["data"]) == (f"shipment.{expected}", AT, PARCEL)
    assert {"subject", "identities", "personal"} & event.keys() == set()


@pytest.mark.parametrize("action", ["ARRIVAL", "TMS_STATION_IN"])
def test_an_arrival_counts_in_the_receiver_s_city_alone(action: str) -> None:
    here, elsewhere = "[杭州市]快件已到达杭州转运中心", "[深圳市]快件已到达深圳,正发往杭州市"
    (event,) = events(read("taobao", trace(action, here, city="杭州市")))
    assert event["data"] == PARCEL | {"city": "杭州市"}
    for delivery in (trace(action, here), trace(action, elsewhere, city="杭州市"), trace(action, city="杭州市")):
        assert isinstance(read("taobao", delivery), Ignored)
    of_a_municipality = trace(action, "[北京市]已到达朝阳站", city="北京,北京市,朝阳区")
    assert isinstance(read("taobao", of_a_municipality), Converted)


@pytest.mark.parametrize("action", ["CREATE", "GOT", "DEPARTURE", "FAILED", "LOST", "TO_EMS", "OTHER", ""])
def test_other_lines_of_a_track_are_no_steps(action: str) -> None:
    assert isinstance(read("taobao", trace(action, "[杭州市]", city="杭州市")), Ignored)


def test_the_buyer_is_named_without_being_shown() -> None:
    def names(**content: Any) -> Any:
        (event,) = events(read("taobao", sent(message("taobao_trade_TradeSellerShip", **content))))
        return event.get("identities")

    assert names() == {"buyer": "taobao:p2"}
    assert names(buyer_open_uid="AAH5") == {"buyer": "taobao:p2", "open_id": "taobao:AAH5"}
    assert names(buyer_nick="小**", buyer_open_uid="AAH5") == {"open_id": "taobao:AAH5"}
    assert names(buyer_nick="小**") is None  # many people's: then the order alone says whose it is


def member(topic: str, **content: Any) -> Delivery:
    told = {"topic": f"taobao_opencrm_{topic}", "content": json.dumps(content), "pub_time": "2026-01-01 10:00:00"}
    return sent(told)


def test_members() -> None:
    joined = member("MemberJoin", user="小明", msg_id="1", join_time="2026-01-01 09:00:00",
                    first_join_time="2026-01-01 09:00:00")  # fmt: skip
    (event,) = events(read("taobao", joined))
    assert (event["type"], event["time"]) == ("customer.registered", "2026-01-01T09:00:00+08:00")
    assert event["identities"] == {"buyer": "taobao:p2"}
    again = member("MemberJoinPrivate", user="AAH5", msg_id="2", join_time="2026-01-01 09:00:00",
                   first_join_time="2025-01-01 09:00:00")  # fmt: skip
    (event,) = events(read("taobao", again))
    assert (event["type"], event["identities"]) == ("customer.updated", {"open_id": "taobao:AAH5"})
    (event,) = events(read("taobao", member("MemberGradeChange", ouid="AAH5", grade=2, seller_id=1, msg_id="3")))
    assert (event["type"], event["time"], event["data"]) == (
        "customer.updated",
        AT,
        {"attributes": {"member_level": "2"}},
    )


def test_consent_to_marketing_by_sms() -> None:
    (event,) = events(read("taobao", member("AuthTouchMessage", ouid="AAH5", latest="2026-01-01 08:00:00", msg_id="4")))
    assert (event["type"], event["time"]) == ("consent.changed", "2026-01-01T08:00:00+08:00")
    assert event["data"] == {"channel": "sms", "purpose": "marketing", "granted": True, "via": "taobao"}
    assert event["identities"] == {"open_id": "taobao:AAH5"}
    in_their_own_form = member("AuthTouchMessage", ouid="AAH5", latest="1767232800000")
    assert events(read("taobao", in_their_own_form))[0]["time"] == AT
    nobody = read("taobao", member("AuthTouchMessage"))
    assert isinstance(nobody, Converted)
    assert [rejection.path for rejection in nobody.rejections] == ["$.content"]


def test_every_shape() -> None:
    one, other = message("taobao_trade_TradeSuccess", payment="1.00"), message("taobao_trade_TradeSellerShip")
    answered = {"tmc_messages_consume_response": {"messages": {"tmc_message": [one, other]}, "request_id": "x"}}
    both = events(read("taobao", sent(one, other)))
    assert [event["type"] for event in both] == ["order.completed", "shipment.dispatched"]
    assert events(read("taobao", sent(answered))) == both
    nothing = {"tmc_messages_consume_response": {"request_id": "x"}}
    assert read("taobao", sent(nothing)) == Ignored("no message in it")


def test_repeats_have_the_same_ids_and_other_news_others() -> None:
    def ids(**more: Any) -> list[str]:
        return [
            events(read("taobao", sent(message(f"taobao_trade_{topic}", payment="1.00") | more)))[0]["id"]
            for topic in ("TradeCreate", "TradeBuyerPay", "TradeSuccess", "TradeSellerShip", "TradeModifyFee")
        ]

    assert ids() == ids(id=1, retried=3)
    assert len(set(ids())) == 5
    later = ids(pub_time="2026-01-01 11:00:00")
    assert [mine == other for mine, other in zip(ids(), later, strict=True)] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("told", "path"),
    [
        (message("taobao_trade_TradeBuyerPay"), "$.content.payment"),
        (message("taobao_trade_TradeBuyerPay", payment="viel"), "$.content.payment"),
        (message("taobao_trade_TradeBuyerPay", tid=0, payment="1"), "$.content.tid"),
        (message("taobao_trade_TradeBuyerPay", payment="1") | {"pub_time": "2026"}, "$.pub_time"),
        (message("taobao_trade_TradeBuyerPay") | {"content": "{"}, "$.content"),
        ({"content": "{}"}, "$.topic"),
        (5, "$"),
    ],
)
def test_what_cannot_be_read_says_where(told: Any, path: str) -> None:
    outcome = read("taobao", sent(told))
    assert isinstance(outcome, Converted)
    assert [rejection.path for rejection in outcome.rejections] == [path]


def test_a_body_that_is_no_json() -> None:
    outcome = read("taobao", Delivery(b"[1,"))
    assert isinstance(outcome, Rejection)
