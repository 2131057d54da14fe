"""Kdniao: signature, several parcels in one push, and what it wants to hear."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from common.contracts.envelope import Rejection
from ingest.connectors.kdniao import Options
from ingest.connectors.port import Converted, Delivery
from tests.unit.ingest.connectors.deliveries import KDNIAO, events, form, ignored, kdniao, read, steps

DATA = '{"Data":[]}'
SIGN = "MjkzZTdjOWVmYTVmOGM1MjI2MDY1YzZlNzUyMTA4ZDE="  # base64 of md5sum of DATA and the key "app-key-1"
NOW = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)


def parcel(number: str = "YD1", callback: str | None = "customer=c1&city=威海市", **more: Any) -> dict[str, Any]:
    traces = [
        {
            "AcceptTime": "2026-02-26 18:31:38",
            "AcceptStation": "【北京环铁站】已收件",
            "Location": "北京市",
            "Action": "1",
        },
        {
            "AcceptTime": "2026-02-27 08:00:00",
            "AcceptStation": "【北京】已发往【威海】",
            "Location": "北京市",
            "Action": "2",
        },
        {
            "AcceptTime": "2026-02-28 07:00:00",
            "AcceptStation": "已到达【文登网点】",
            "Location": "威海市",
            "Action": "2",
        },
        {"AcceptTime": "2026-02-28 09:00:00", "AcceptStation": "派件员李四", "Location": "威海市", "Action": "202"},
        {"AcceptTime": "2026-02-28 12:00:00", "AcceptStation": "家人代收", "Location": "威海市", "Action": "304"},
    ]
    known = {"ShipperCode": "YD", "LogisticCode": number, "OrderCode": "o1", "Callback": callback}
    return known | {"State": "3", "StateEx": "304", "Traces": traces} | more


def test_the_signature() -> None:
    assert KDNIAO.is_signed(Delivery(form(RequestData=DATA, DataSign=SIGN)), "app-key-1")
    assert KDNIAO.is_signed(Delivery(form(RequestData=quote(DATA), DataSign=SIGN)), "app-key-1")  # encoded once more
    assert not KDNIAO.is_signed(Delivery(form(RequestData=DATA, DataSign=SIGN)), "app-key-2")
    assert not KDNIAO.is_signed(Delivery(form(RequestData=DATA)), "app-key-1")
    assert not KDNIAO.is_signed(Delivery(b"\xff"), "app-key-1")


def test_unsigned_pushes_are_taken_only_where_the_shop_says_so() -> None:
    unsigned, signed = Delivery(form(RequestData=DATA)), Delivery(form(RequestData=DATA, DataSign="wrong"))
    assert KDNIAO.may_be_unsigned(unsigned, Options(unsigned=True))
    assert not KDNIAO.may_be_unsigned(signed, Options(unsigned=True))
    assert not KDNIAO.may_be_unsigned(unsigned, Options())


def test_a_track() -> None:
    told = events(read("kdniao", kdniao(parcel())))
    assert [(event["type"], event["time"], event["data"]) for event in told] == [
        (
            "shipment.dispatched",
            "2026-02-26T18:31:38+08:00",
            {"order_id": "o1", "shipment_id": "YD1", "carrier": "YD"},
        ),
        (
            "shipment.arrived_in_city",
            "2026-02-28T07:00:00+08:00",
            {"order_id": "o1", "shipment_id": "YD1", "city": "威海市"},
        ),
        ("shipment.out_for_delivery", "2026-02-28T09:00:00+08:00", {"order_id": "o1", "shipment_id": "YD1"}),
        ("shipment.delivered", "2026-02-28T12:00:00+08:00", {"order_id": "o1", "shipment_id": "YD1"}),
    ]
    assert {event["subject"] for event in told} == {"c1"}


def test_codes_of_the_parcel_alone() -> None:
    trace = {"AcceptTime": "2026-02-26 18:31:38", "AcceptStation": "已收件"}
    alone = kdniao(parcel(callback="customer=c1", StateEx="201", State="2", Traces=[trace]))
    assert [step for step, _ in steps(read("kdniao", alone))] == ["dispatched", "arrived_in_city"]
    plain = kdniao(parcel(callback="customer=c1", StateEx="0", State="3", Traces=[trace]))
    assert [step for step, _ in steps(read("kdniao", plain))] == ["dispatched", "delivered"]


def test_refused_at_the_door_is_not_delivered() -> None:
    back = [
        {"AcceptTime": "2026-02-26 18:31:38", "AcceptStation": "已收件", "Action": "1"},
        {"AcceptTime": "2026-02-27 18:31:38", "AcceptStation": "拒收", "Action": "404"},
        {"AcceptTime": "2026-02-28 18:31:38", "AcceptStation": "退件签收", "Action": "3"},
    ]
    assert [step for step, _ in steps(read("kdniao", kdniao(parcel(Traces=back, StateEx="406"))))] == ["dispatched"]


def test_a_parcel_of_no_order_does_not_keep_back_the_others() -> None:
    outcome = read("kdniao", kdniao(parcel("YD1", None, OrderCode=None), parcel("YD2")))
    assert isinstance(outcome, Converted)
    assert len(outcome.events) == 4
    where = "$.RequestData.Data[0].OrderCode"
    reason = "names no customer, since it names no order: see the registration"
    assert outcome.rejections == (Rejection(where, reason),)


def test_an_order_in_the_callback_goes_before_their_order_code() -> None:
    first, *_ = events(read("kdniao", kdniao(parcel(callback="customer=c1&order=o7"))))
    assert first["data"]["order_id"] == "o7"


def test_nothing_to_tell() -> None:
    assert ignored(read("kdniao", kdniao()))
    assert ignored(read("kdniao", kdniao(parcel(Traces=[]))))
    assert ignored(read("kdniao", kdniao(parcel(), RequestType="107")))
    assert read("kdniao", Delivery(b"RequestType=101")) == Rejection("$.RequestData", "missing")


def test_the_answer_they_wait_for() -> None:
    told = {"EBusinessID": "1237100", "UpdateTime": "2026-03-01 09:02:03", "Success": True, "Reason": ""}
    assert json.loads(KDNIAO.answer(kdniao(parcel()), NOW).body) == told
    assert json.loads(KDNIAO.answer(Delivery(b"\xff"), NOW).body) == told | {"EBusinessID": ""}
