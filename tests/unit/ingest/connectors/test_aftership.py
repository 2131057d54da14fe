"""AfterShip: signature, tags, and the arrival that it has no tag for."""

import json
from typing import Any

import pytest

from common.contracts.envelope import Rejection
from ingest.connectors.aftership import SIGNATURE
from ingest.connectors.port import Delivery
from tests.unit.ingest.connectors.deliveries import AFTERSHIP, events, ignored, read, steps

CUSTOM = {"customer_id": "c1", "order_id": "o1"}


def checkpoint(time: str, message: str, tag: str = "InTransit", **more: Any) -> dict[str, Any]:
    return {"checkpoint_time": time, "message": message, "slug": "usps", "tag": tag, **more}


TRACK = [
    checkpoint("2026-01-13T09:00:00", "Shipping Label Created, USPS Awaiting Item", "InfoReceived", city="AUSTIN"),
    checkpoint("2026-01-14T00:52:00", "Departed Shipping Partner Facility", city="AUSTIN"),
    checkpoint("2026-01-16T03:10:00-08:00", "Arrived at USPS Regional Facility", city="LOS ANGELES"),
    checkpoint("2026-01-17T08:00:00-08:00", "Out for Delivery", "OutForDelivery", city="LOS ANGELES"),
    checkpoint("2026-01-17T14:00:00-08:00", "Delivered, In/At Mailbox", "Delivered", city="LOS ANGELES"),
]


def push(track: list[dict[str, Any]], tag: str, custom: dict[str, Any] | None = None, **more: Any) -> Delivery:
    message: dict[str, Any] = {
        "tracking_number": "9400",
        "slug": "usps",
        "tag": tag,
        "subtag": f"{tag}_001",
        "checkpoints": track,
    }
    message |= {"custom_fields": CUSTOM if custom is None else custom}
    body = {"event": "tracking_update", "event_id": "94dadd60", "is_tracking_first_tag": True, "msg": message | more}
    return Delivery(json.dumps(body | {"ts": 1712741696}).encode())


def test_the_signature() -> None:
    def signed(signature: str, body: bytes = b'{"foo": "bar"}') -> bool:
        return AFTERSHIP.is_signed(Delivery(body, {SIGNATURE: signature}), "test_secret_key")

    assert signed("B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=")
    assert not signed("B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=", b'{"foo":"bar"}')
    assert not signed("Ü")
    assert not AFTERSHIP.is_signed(Delivery(b""), "test_secret_key")


def test_a_track() -> None:
    assert steps(read("aftership", push(TRACK, "Delivered", CUSTOM | {"city": "Los Angeles"}))) == [
        ("dispatched", "2026-01-14T00:52:00Z"),
        ("arrived_in_city", "2026-01-16T11:10:00Z"),
        ("out_for_delivery", "2026-01-17T16:00:00Z"),
        ("delivered", "2026-01-17T22:00:00Z"),
    ]


def test_times_without_a_zone_are_in_the_sources() -> None:
    first, *_ = steps(read("aftership", push(TRACK[:2], "InTransit"), zone="America/Chicago"))
    assert first == ("dispatched", "2026-01-14T06:52:00Z")


def test_without_a_city_no_arrival_is_guessed() -> None:
    assert [step for step, _ in steps(read("aftership", push(TRACK[:3], "InTransit")))] == ["dispatched"]


def test_their_own_fields_do_where_the_shops_are_missing() -> None:
    told = events(read("aftership", push(TRACK[:3], "InTransit", {"customer_id": 7}, order_number="#1001")))
    assert (told[0]["subject"], told[0]["data"]["order_id"]) == ("7", "#1001")
    told = events(read("aftership", push(TRACK[:3], "InTransit", destination_city="LOS ANGELES")))
    assert [event["type"] for event in told] == ["shipment.dispatched", "shipment.arrived_in_city"]


def test_a_tag_without_checkpoints_happens_now() -> None:
    told = events(read("aftership", push([], "Delivered")))
    assert [(event["type"], "time" in event) for event in told] == [
        ("shipment.dispatched", False),
        ("shipment.delivered", False),
    ]


@pytest.mark.parametrize("tag", ["Pending", "InfoReceived", "Expired"])
def test_nothing_has_happened_yet(tag: str) -> None:
    assert ignored(read("aftership", push([], tag)))
    assert steps(read("aftership", push(TRACK[:1], tag))) == []


@pytest.mark.parametrize("event", ["edd_revise", "tracking_pending_time"])
def test_other_events(event: str) -> None:
    assert ignored(read("aftership", Delivery(json.dumps({"event": event, "msg": []}).encode())))


@pytest.mark.parametrize(
    ("delivery", "fault"),
    [
        (Delivery(b"[]"), Rejection("$", "Expected `object`, got `array`")),
        (Delivery(b"\xff"), Rejection("$", "JSON is malformed: invalid character (byte 0)")),
        (
            push(TRACK, "InTransit", {}),
            Rejection(
                "$.msg.custom_fields.order_id", "names no customer, since it names no order: see the registration"
            ),
        ),
        (
            push([checkpoint("soon", "x")], "InTransit"),
            Rejection("$.msg.checkpoints[0].checkpoint_time", "expected a time as 2026-01-31T09:05:00"),
        ),
    ],
)
def test_what_is_wrong_is_said_without_repeating_it(delivery: Delivery, fault: Rejection) -> None:
    assert read("aftership", delivery) == fault
