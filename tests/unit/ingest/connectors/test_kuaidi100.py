"""Kuaidi100: signature, codes, and what lines say where codes say nothing."""

import json
from typing import Any

import pytest

from common.contracts.envelope import Rejection
from ingest.connectors.parcels import arrives, city_of
from ingest.connectors.port import Delivery
from tests.unit.ingest.connectors.deliveries import KUAIDI100, events, form, ignored, kuaidi100, read, steps

PARAM = '{"status":"polling","lastResult":{"nu":"SF1"}}'
SIGN = "86FEA027993F1023DBCA540A0DC6215A"  # md5sum of PARAM and the salt "s3cret-salt"


def line(time: str, text: str, code: str | None = None, area: str | None = None, **more: Any) -> dict[str, Any]:
    return {"time": time, "ftime": time, "context": text, "statusCode": code, "areaName": area, **more}


# As carriers write that give codes: coarse ones for most, `0` on the last leg.
CODED = [
    line("2026-06-30 10:34:33", "您的快件已由驿站代收,感谢您的使用", "304"),
    line("2026-06-30 08:27:50", "您的快件正在派送中,请您准备签收", "0"),
    line("2026-06-29 22:30:20", "您的快件已发车", "0"),
    line(
        "2026-06-29 22:28:50", "您的快件由【西安灞桥分拣中心】准备发往【西安兴善营业部】", "1002", "陕西,西安市,灞桥区"
    ),
    line("2026-06-29 22:28:45", "您的快件在【西安灞桥分拣中心】分拣完成", "1002", "陕西,西安市,灞桥区"),
    line("2026-06-29 20:00:00", "商家已下单,等待快递员上门揽收", "102"),
]
# As they write without codes.
PLAIN = [
    line("2026-12-30 10:31:47", "正在派送途中,请您准备签收"),
    line("2026-12-30 10:04:14", "快件到达 【达州市大竹县竹海路营业点】"),
    line("2026-12-29 21:30:20", "快件离开【达州集散中心】,正发往 【达州市大竹县竹海路营业点】"),
    line("2026-12-29 19:36:49", "快件到达 【达州集散中心】"),
    line("2026-12-29 15:36:19", "快件离开【重庆渝北集散中心】,正发往 【达州集散中心】"),
    line("2026-12-29 14:33:47", "快件到达 【重庆渝北集散中心】"),
    line("2026-12-29 10:01:20", "顺丰速运 已收取快件"),
]


def test_the_signature_is_over_the_field_as_it_came() -> None:
    signed = Delivery(form(sign=SIGN, param=PARAM))
    assert KUAIDI100.is_signed(signed, "s3cret-salt")
    assert KUAIDI100.is_signed(Delivery(form(sign=SIGN.lower(), param=PARAM)), "s3cret-salt")
    assert not KUAIDI100.is_signed(signed, "another")
    assert not KUAIDI100.is_signed(Delivery(form(sign=SIGN, param=PARAM + " ")), "s3cret-salt")
    assert not KUAIDI100.is_signed(Delivery(form(param=PARAM)), "s3cret-salt")
    assert not KUAIDI100.is_signed(Delivery(b""), "s3cret-salt")


def test_a_track_with_codes() -> None:
    assert steps(read("kuaidi100", kuaidi100(CODED, "304"))) == [
        ("dispatched", "2026-06-29T22:28:45+08:00"),
        ("out_for_delivery", "2026-06-30T08:27:50+08:00"),
        ("delivered", "2026-06-30T10:34:33+08:00"),
    ]


def test_whose_it_is_and_what_is_told() -> None:
    first, *_ = events(read("kuaidi100", kuaidi100(CODED, "304")))
    assert {name: first[name] for name in ("source", "type", "subject", "data")} == {
        "source": "src_1",
        "type": "shipment.dispatched",
        "subject": "c1",
        "data": {"order_id": "o1", "shipment_id": "SF100", "carrier": "shunfeng"},
    }


@pytest.mark.parametrize("city", ["达州市", "达州", "四川,达州市,大竹县"])
def test_a_track_without_codes(city: str) -> None:
    query = {"order": "o1", "customer": "c1", "city": city}
    assert steps(read("kuaidi100", kuaidi100(PLAIN, "5", query))) == [
        ("dispatched", "2026-12-29T10:01:20+08:00"),
        ("arrived_in_city", "2026-12-29T19:36:49+08:00"),
        ("out_for_delivery", "2026-12-30T10:31:47+08:00"),
    ]


def test_the_city_of_the_route_when_the_registration_names_none() -> None:
    route = {"to": {"number": "CN511700000000", "name": "四川,达州市"}}
    told = events(read("kuaidi100", kuaidi100(PLAIN[3:], "0", routeInfo=route)))
    assert [event["type"] for event in told] == ["shipment.dispatched", "shipment.arrived_in_city"]
    assert told[1]["data"] == {"order_id": "o1", "shipment_id": "SF100", "city": "达州"}


def test_the_exact_code_needs_no_city() -> None:
    lines = [line("2026-06-29 22:30:20", "快件已到", "1001"), line("2026-06-28 22:30:20", "已揽收", "103")]
    assert steps(read("kuaidi100", kuaidi100(lines, "1001"))) == [
        ("dispatched", "2026-06-28T22:30:20+08:00"),
        ("arrived_in_city", "2026-06-29T22:30:20+08:00"),
    ]


@pytest.mark.parametrize("state", ["3", "301", "302", "303", "304", 3])
def test_every_state_that_is_delivered(state: Any) -> None:
    told = steps(read("kuaidi100", kuaidi100([line("2026-06-29 22:30:20", "已签收")], state)))
    assert told[-1] == ("delivered", "2026-06-29T22:30:20+08:00")


@pytest.mark.parametrize("state", ["4", "14", "6"])
def test_what_goes_back_is_not_delivered(state: str) -> None:
    lines = [
        line("2026-07-02 09:00:00", "退件已签收", "3"),
        line("2026-07-01 09:00:00", "退件正在派送中", "5"),
        line("2026-06-30 09:00:00", "客户拒收,退回", state),
        line("2026-06-29 22:30:20", "已揽收", "1"),
    ]
    assert steps(read("kuaidi100", kuaidi100(lines, state))) == [("dispatched", "2026-06-29T22:30:20+08:00")]


def test_only_ordered_is_not_dispatched() -> None:
    assert steps(read("kuaidi100", kuaidi100(CODED[-1:], "102"))) == []


def test_the_whole_track_again_gives_the_same_ids_and_a_corrected_carrier_too() -> None:
    early = {event["id"] for event in events(read("kuaidi100", kuaidi100(CODED[2:], "0")))}
    late = {event["id"] for event in events(read("kuaidi100", kuaidi100(CODED, "304", com="jd")))}
    assert (len(early), len(late)) == (1, 3)
    assert early < late


def test_a_parcel_of_whoever_ordered() -> None:
    """The customer may be left out: the order is a name as well."""
    for query, who in (
        ({"order": "o1"}, None),
        ({"order": "o1", "customer": " "}, None),
        ({"order": "o1", "customer": "c1"}, "c1"),
    ):
        told = events(read("kuaidi100", kuaidi100(CODED, query=query)))
        assert {(event.get("subject"), event["data"]["order_id"]) for event in told} == {(who, "o1")}


def test_nothing_to_tell() -> None:
    assert ignored(read("kuaidi100", kuaidi100([], "0")))
    assert ignored(read("kuaidi100", Delivery(form(param='{"status":"abort","lastResult":null}'))))


@pytest.mark.parametrize(
    ("delivery", "fault"),
    [
        (Delivery(b""), Rejection("$.param", "missing")),
        (Delivery(form(param="{")), Rejection("$.param", "Input data was truncated")),
        (
            Delivery(form(param='{"lastResult": 1}')),
            Rejection("$.param.lastResult", "Expected `object | null`, got `int`"),
        ),
        (
            kuaidi100(CODED, query={"customer": "c1"}),
            Rejection("$.query.order", "names no customer, since it names no order: see the registration"),
        ),
        (kuaidi100(CODED, nu=None), Rejection("$", "names no parcel")),
        (
            kuaidi100([line("yesterday", "已揽收")]),
            Rejection("$.param.lastResult.data[0].time", "expected a time as 2026-01-31 09:05:00"),
        ),
    ],
)
def test_what_is_wrong_is_said_without_repeating_it(delivery: Delivery, fault: Rejection) -> None:
    assert read("kuaidi100", delivery) == fault


def test_the_answer_they_wait_for() -> None:
    answer = KUAIDI100.answer(Delivery(b""), None)  # type: ignore[arg-type]
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert json.loads(answer.body) == {"result": True, "returnCode": "200", "message": "成功"}


@pytest.mark.parametrize(
    ("text", "place", "city", "comes"),
    [
        ("快件到达 【杭州转运中心】", "", "杭州市", True),
        ("【杭州市】 快件已经到达 【余杭网点】", "", "杭州市", True),
        ("快件已到达【余杭网点】", "浙江,杭州市,余杭区", "杭州市", True),
        ("离开【上海】,发往【杭州】", "", "杭州市", False),
        ("预计到达杭州转运中心", "", "杭州市", False),
        ("快件即将到达杭州", "", "杭州市", False),
        ("快件到达 【上海转运中心】", "上海市", "杭州市", False),
        ("已从杭州到达上海转运中心", "", "杭州市", False),
        ("快件到达 【北京朝阳区】", "", "北京市,朝阳区", True),
        ("快件到达 【长春转运中心】", "吉林,长春市", "吉林,吉林市", False),
        ("快件到达 【大理转运中心】", "", "云南,大理白族自治州", True),
        ("Arrived at USPS Regional Facility", "LOS ANGELES", "Los Angeles", True),
        ("Departed USPS Regional Facility", "LOS ANGELES", "Los Angeles", False),
        ("Arriving late", "LOS ANGELES", "Los Angeles", False),
        ("快件到达", "", "", False),
    ],
)
def test_an_arrival_is_one_in_the_receivers_city(text: str, place: str, city: str, comes: bool) -> None:
    assert arrives(text, place, city) is comes


@pytest.mark.parametrize(
    ("name", "city"),
    [
        ("陕西,西安市,灞桥区", "西安"),
        ("北京,朝阳区", "北京"),
        ("恩施土家族苗族自治州", "恩施"),
        ("海口", "海口"),
        (" , ", ""),
    ],
)
def test_the_city_of_a_place(name: str, city: str) -> None:
    assert city_of(name) == city
