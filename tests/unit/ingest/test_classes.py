"""Classes made of personal data: by hand on what people write, by the number plan on telephones; how they are told."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json, structs
from phonenumbers import carrier

from common.contracts.envelope import encode
from common.contracts.ingest import MAX_ATTRIBUTES, CustomerUpdated
from common.presets import BadPresets
from common.shops import Shop
from ingest.classes.finding import Classes
from ingest.classes.tables import load, parse, seats
from ingest.domain.accept import Accepted, Personal, accept
from ingest.domain.classes import ALL, FAR, NEAR, Seat, classes_of
from ingest.domain.telling_classes import MergedMeanwhile, ToldOf
from ingest.domain.told_classes import Told

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AMOUNT = {"amount_minor": 1250, "currency": "CNY"}
TABLES = load()
SHOPS = {
    "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN", city="杭州"),
    "nowhere": Shop("nowhere", "Europe/London", "GBP", "en"),
}
SEATS = seats(SHOPS, TABLES)
CLASSES = Classes.of(SHOPS)


def of(seat: Seat = SEATS["nowhere"], **personal: str) -> dict[str, str | None]:
    return classes_of(Personal(**personal), None, {}, TABLES, seat)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("杭州市西湖区浙江大学玉泉校区 32 舍", "student"),
        ("武汉市洪山区华中科技大学附属小学", "student"),
        ("12 Wilberforce Rd, Trinity College, Cambridge", "student"),
        ("Student dormitories, room 5", "student"),
        ("北京市海淀区中关村软件园二期 10 号楼", "it"),
        ("Hall 3, Cambridge SCIENCE PARK", "it"),
        ("深圳市南山区科技园大厦", "it"),  # before the office
        ("西安市雁塔区第四军医大学西京医院", "medical"),  # before the university
        ("St. Mary's Hospital, ward 2", "medical"),
        ("上海市浦东新区中国银行", "finance"),
        ("区政府 3 楼", "government"),
        ("东莞市长安镇电子厂房 2 号", "industry"),
        ("义乌国际商贸城批发城 3 区", "commerce"),
        ("朝阳区建国门外大街国贸写字楼", "office"),
        ("拱墅区东方花园 3 幢 2 单元", "home"),
        ("Flat 3, 12 School Road", "home"),  # the name of a street says nothing
        ("上海市大学路 12 号", None),
        ("银行街 3 号", None),
        ("1 University Avenue", None),
        ("1 Hospitality Lane", None),  # no whole word of ours
        ("\u2003", None),
    ],
)
def test_an_occupation_is_guessed_from_the_words_of_an_address(address: str, expected: str | None) -> None:
    assert of(address=address) == ({} if expected is None else {"occupation": expected})


@pytest.mark.parametrize(
    ("email", "kind", "provider"),
    [
        ("a@qq.com", "free", "qq"),
        ("A@VIP.QQ.COM ", "free", "qq"),
        ("a@163.com", "free", "netease"),
        ("a@hotmail.co.uk", "company", None),
        ("a@outlook.fr", "free", "microsoft"),
        ("a@zju.edu.cn", "school", None),
        ("a@mit.edu", "school", None),
        ("a@cs.ox.ac.uk", "school", None),
        ("a@hz.gov.cn", "government", None),
        ("a@mailinator.com", "disposable", None),
        ("x1@privaterelay.appleid.com", "relay", None),
        ("a@myqq.com", "company", None),
        ("a@edu.acme.com", "company", None),
    ],
)
def test_mailboxes(email: str, kind: str, provider: str | None) -> None:
    assert of(email=email) == {"email_class": kind, "email_provider": provider}


@pytest.mark.parametrize(
    ("phone", "kind", "whose"),
    [
        ("13800138000", "mobile", "china_mobile"),
        ("+86 186 0013 8000", "mobile", "china_unicom"),
        ("１３３００１３８０００", "mobile", "china_telecom"),
        ("+86 1705 123 4567", "virtual", "china_mobile"),
        ("0571-8888-9999", "fixed", None),
        ("+44 7911 123456", "mobile", None),
        ("+1 202 555 0123", "fixed_or_mobile", None),
        ("+44 5600 123456", "virtual", None),
        ("4008 111 222", "other", None),
    ],
)
def test_telephones(phone: str, kind: str, whose: str | None) -> None:
    assert of(SEATS["shop"], phone=phone) == {"phone_type": kind, "phone_carrier": whose}


@pytest.mark.parametrize("unread", ["138****8000", "12", "x", "a@b", "a**@qq.com"])
def test_what_is_masked_or_nothing_is_of_no_class(unread: str) -> None:
    assert of(SEATS["shop"], phone=unread, email=unread) == {}


def test_carriers_are_those_of_the_number_plan() -> None:
    names = {"China Mobile": "china_mobile", "China Unicom": "china_unicom", "China Telecom": "china_telecom"}
    checked = 0
    for start in range(1300, 2000):
        number = phonenumbers.parse(f"+86{start}1234567")
        expected = names.get(carrier.name_for_number(number, "en"))
        if expected is not None and phonenumbers.is_valid_number(number):
            assert of(phone=f"+86{start}1234567")["phone_carrier"] == expected, start
            checked += 1
    assert checked > 400


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("浙江省宁波市", NEAR),
        ("上海市浦东新区南京西路 1 号", NEAR),
        ("苏州", NEAR),
        ("Suzhou", NEAR),
        ("四川省成都市武侯区", FAR),
        ("新疆维吾尔自治区乌鲁木齐市", FAR),
        ("8 Shanghai Road, Chengdu, China", FAR),  # the street is named after another place
        ("成都市上海路 8 号", FAR),
        ("12 Tulip St, Beijing, Urumqi", FAR),
        ("Leeds", None),
        ("南京西路", None),
    ],
)
def test_how_far_it_is(place: str, expected: str | None) -> None:
    told = {} if expected is None else {"delivery_distance": expected}
    assert classes_of(None, place, {}, TABLES, SEATS["shop"]) == told
    found = of(SEATS["shop"], address=place)
    assert found.get("delivery_distance") == expected
    assert classes_of(None, place, {}, TABLES, SEATS["nowhere"]) == {}


def test_the_city_that_is_told_counts_before_the_address() -> None:
    personal = Personal(address="杭州市文三路 90 号")
    assert classes_of(personal, "乌鲁木齐", {}, TABLES, SEATS["shop"])["delivery_distance"] == FAR


def test_a_shop_in_a_city_that_no_table_knows_is_refused() -> None:
    with pytest.raises(BadPresets, match=r"^shop a: its city is in no region"):
        Classes.of({"a": Shop("a", "Asia/Shanghai", "CNY", "zh-CN", city="Atlantis")})


@pytest.mark.parametrize(
    ("level", "expected"),
    [("0", "beginner"), ("5", "beginner"), ("6", "experienced"), ("11", "expert"), ("gold", None), ("-1", None)],
)
def test_the_experience_of_a_buyer(level: str, expected: str | None) -> None:
    told = {} if expected is None else {"buyer_experience": expected}
    assert classes_of(None, None, {"credit_level": level}, TABLES, SEATS["shop"]) == told


def accepted(type_: str = "order.placed", data: Any = None, **more: Any) -> Accepted:
    order = {"order_id": "o1", "amount": AMOUNT}
    event = {"id": "e1", "type": type_, "subject": "ann", "data": order if data is None else data, **more}
    outcome = accept(json.encode(event), "shop", "CNY", NOW, historic=False)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def told(*events: Accepted) -> list[Accepted]:
    """As they are taken, and then settled where everybody is who the sender says."""
    settled = ToldOf({}, NOW)
    return [each for found in CLASSES.found(events) for each in settled.hear(found)]


PERSONAL = {"phone": "13800138000", "email": "wang.fang@acme.cn", "address": "成都市天府软件园 3 栋", "name": "王小芳"}
FOUND = {
    "phone_type": "mobile",
    "phone_carrier": "china_mobile",
    "email_class": "company",
    "email_provider": None,
    "occupation": "it",
    "delivery_distance": "far",
}


def test_an_event_about_the_customer_brings_them_itself_and_the_sender_knows_best() -> None:
    said = {"attributes": {"occupation": "retired", "skin_type": "dry"}}
    event = accepted("customer.registered", said, personal=PERSONAL)
    (only,) = told(event)
    assert (only.event.id, only.personal) == ("e1", event.personal)
    assert only.event.data.attributes == FOUND | {"occupation": "retired", "skin_type": "dry"}  # type: ignore[attr-defined]


def test_beside_any_other_event_there_is_one_of_the_customers_own() -> None:
    order = accepted(personal=PERSONAL, identities={"anonymous": "b1"})
    first, beside = told(order)
    assert structs.replace(first, classes={}) == order
    assert beside.event.data == CustomerUpdated(attributes=FOUND)
    assert (beside.personal, beside.identities, beside.classes) == (None, order.identities, {})
    assert (beside.event.customer_id, beside.event.occurred_at) == ("ann", order.event.occurred_at)
    assert (beside.event.causation_id, beside.event.source) == ("e1", order.event.source)
    assert told(order)[1] == beside
    assert told(accepted(id="e2", personal=PERSONAL))[1].event.id != beside.event.id
    assert told(accepted()) == [accepted()]


def test_nobody_is_made_up_to_tell_them_of() -> None:
    """Two events without a name that counts are two people's."""
    masked = {"phone": "139****5678", "email": "guest@acme.cn"}
    assert len(told(accepted(subject=None, personal=masked))) == 2  # an order is a name
    nobody = accepted("visit", {}, subject=None, personal=masked)
    assert told(nobody) == [nobody]
    assert len(told(accepted("visit", {}, personal=masked))) == 2


def updates(events: Iterable[Accepted]) -> list[str]:
    return [each.event.causation_id for each in events if each.event.causation_id]


def test_only_what_is_news_of_somebody_is_told() -> None:
    paid = {"order_id": "o1", "amount": AMOUNT}
    both = [accepted(personal=PERSONAL), accepted("order.paid", paid, id="e2", personal=PERSONAL)]
    assert [each.event.type for each in told(*both)] == ["order.placed", "customer.updated", "order.paid"]
    moved = accepted(id="e3", personal=PERSONAL | {"address": "北京大学"})
    assert updates(told(*both, moved, moved, both[1])) == ["e1", "e3", "e2"]
    assert updates(told(both[0], accepted(id="e4", subject="bob", personal=PERSONAL))) == ["e1", "e4"]
    less = accepted(id="e5", personal={"phone": PERSONAL["phone"]})
    assert updates(told(both[0], less, both[1])) == ["e1"]


def test_a_senders_own_word_is_not_kept_and_ours_is_told_again_after_it() -> None:
    said = accepted("customer.updated", {"attributes": {"occupation": "13900000000 retired"}}, id="e2")
    order, again = accepted(personal=PERSONAL), accepted(id="e3", personal=PERSONAL)
    assert updates(told(order, said, again, again)) == ["e1", "e3"]
    settled = ToldOf({}, NOW)
    for each in CLASSES.found([order, said]):
        list(settled.hear(each))
    (kept,) = settled.changed.values()
    assert kept.classes == {name: value for name, value in FOUND.items() if name != "occupation"}
    assert b"retired" not in json.encode(kept)


def test_who_was_merged_meanwhile_is_not_told_of() -> None:
    settled = ToldOf({("shop", "ann"): Told(gone=True)}, NOW)
    with pytest.raises(MergedMeanwhile):
        list(settled.hear(*CLASSES.found([accepted(personal=PERSONAL)])))


def test_a_row_of_before_is_read() -> None:
    row = json.encode({"classes": {"email_provider": None}, "unsure": ["email_provider"]})
    assert json.decode(row, type=Told) == Told({"email_provider": None})


def test_who_says_as_much_as_an_event_may_say_still_gets_them() -> None:
    said = {"attributes": {f"a{nr}": "x" for nr in range(MAX_ATTRIBUTES)}}
    whole, beside = told(accepted("customer.updated", said, personal=PERSONAL))
    assert len(whole.event.data.attributes) == MAX_ATTRIBUTES  # type: ignore[attr-defined]
    assert beside.event.data == CustomerUpdated(attributes=FOUND)


@given(address=st.text(max_size=200), phone=st.text(max_size=30), email=st.text(max_size=60))
def test_nothing_but_the_tables_own_words_is_told(address: str, phone: str, email: str) -> None:
    found = classes_of(Personal(phone, f"{email}@{email}.cn", None, address), None, {}, TABLES, SEATS["shop"])
    kinds = {kind for kind, _ in TABLES.occupations}
    known = kinds | {NEAR, FAR, "free", "company", *TABLES.email_classes.values(), *TABLES.email_providers.values()}
    known |= {"mobile", "fixed", "fixed_or_mobile", "virtual", "other", *TABLES.phone_prefixes.values()}
    assert {value for value in found.values() if value is not None} <= known
    assert found.keys() <= ALL


def test_no_personal_data_is_in_what_travels() -> None:
    bodies = b"".join(encode(each.event) for each in told(accepted(personal=PERSONAL)))
    assert not [value for value in PERSONAL.values() if value.encode() in bodies]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: [", "$"),
        ("other: 1", "$.other"),
        ("occupation: {it: [1]}", "$.occupation.it[0]"),
        ("email: {school: [UPPER.CN]}", "$.email.school[0]"),
        ("phone: {virtual: ['86170']}", "$.phone.virtual[0]"),
        ("delivery: {near: [[here, there]], places: {here: [x]}}", "$.delivery"),
        ("experience: {attribute: a, from: {x: -1}}", "$.experience.from.x"),
        ("traits: [a b]", "$.traits[0]"),
    ],
)
def test_a_fault_in_the_tables_has_its_path(text: str, path: str) -> None:
    faults = parse(text)
    assert isinstance(faults, tuple)
    assert [fault.path for fault in faults] == [path]
