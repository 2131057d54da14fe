"""Webhooks through the real door to a real PostgreSQL: signatures, rotation, repeats, what is kept, and any body."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5, sha256
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as searched
from hypothesis import strategies as st

from common.settings import Settings
from common.telemetry import metrics
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Delivery
from ingest.vault import Vault
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY, Ingest, Keys, assert_problem, open_ingest, rows_of

SECRET = "a-secret-of-the-shop"
TRACK = [
    {"time": "2026-06-30 10:34:33", "context": "已签收", "statusCode": "301"},
    {"time": "2026-06-30 08:27:50", "context": "正在派送中", "statusCode": "0"},
    {"time": "2026-06-29 21:30:20", "context": "快件到达 【达州集散中心】", "statusCode": "0"},
    {"time": "2026-06-28 22:28:45", "context": "已收取快件", "statusCode": "1"},
]
STEPS = ["dispatched", "arrived_in_city", "out_for_delivery", "delivered"]
QUERY = {"order": "o1", "customer": "c1", "city": "达州市"}
EXAMPLES = 120  # per connector; bodies far from the platform's, since those near to it are tried without a database


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


async def source(here: Ingest, keys: Keys, kind: str, **more: Any) -> str:
    answer = await here.client.post(
        "/v1/sources", json={"kind": kind, "secret": SECRET} | more, headers=keys["operator"]
    )
    return str(answer.json()["source_id"])


def signed(kind: str, body: bytes, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """The call as the platform makes it: for those that send forms, of the field's content."""
    mac = b64encode(hmac.digest(secret.encode(), body, sha256)).decode()
    digest = md5(body + secret.encode(), usedforsecurity=False).hexdigest()
    match kind:
        case "kuaidi100":
            return urlencode({"sign": digest.upper(), "param": body}).encode(), {}
        case "kdniao":
            sign = b64encode(digest.encode()).decode()
            return urlencode({"RequestType": "101", "RequestData": body, "DataSign": sign}).encode(), {}
        case "aftership":
            return body, {"aftership-hmac-sha256": mac}
        case "shopify":
            return body, {"X-Shopify-Hmac-Sha256": mac, "X-Shopify-Topic": "orders/updated"}
        case "youzan" | "douyin":
            sign = md5(b"app" + body + secret.encode(), usedforsecurity=False).hexdigest()
            return body, {"Event-Sign": sign, "Client-Id": "app", "app-id": "app"}
        case "taobao" | "pinduoduo":
            return body, {"X-Regulars-Signature": hmac.digest(secret.encode(), body, sha256).hex()}
        case _:
            return body, {"X-WC-Webhook-Signature": mac, "X-WC-Webhook-Topic": "order.updated"}


async def call(
    here: Ingest, source_id: str, kind: str, told: Any, secret: str = SECRET, query: dict[str, str] | None = None
) -> httpx.Response:
    body = told if isinstance(told, bytes) else json.dumps(told, ensure_ascii=False).encode()
    content, headers = signed(kind, body, secret)
    return await here.client.post(f"/v1/hooks/{source_id}", params=query, content=content, headers=headers)


def track(lines: list[dict[str, str]], state: str = "0") -> dict[str, Any]:
    return {"status": "polling", "lastResult": {"nu": "SF100", "com": "shunfeng", "state": state, "data": lines}}


async def assert_health(here: Ingest, keys: Keys, **expected: int) -> None:
    """What is shown of the only source, once it is written."""

    async def is_shown() -> bool:
        return await health(here, keys) == expected

    await until(is_shown, f"health {expected}")


async def health(here: Ingest, keys: Keys) -> dict[str, int]:
    (shown,) = (await here.client.get("/v1/sources", headers=keys["operator"])).json()["items"]
    names = ("accepted", "repeated", "ignored", "refused", "signature_failures")
    return {name: shown[name] for name in names if shown[name]}


def counted(metric: Any, *labels: str) -> float:
    return float(metric.labels(*labels)._value.get())


async def test_a_whole_track_again_gives_nothing_new(here: Ingest, keys: Keys) -> None:
    """As it grows line by line, each push with all of it, some of them twice."""
    source_id = await source(here, keys, "kuaidi100")
    for known in (1, 2, 2, 3, 4, 4):
        answer = await call(here, source_id, "kuaidi100", track(TRACK[-known:], "0"), query=QUERY)
        assert (answer.status_code, answer.text) == (200, '{"result":true,"returnCode":"200","message":"成功"}')
    told = [row.event for row in await rows_of(here.pool)]
    assert [event.type.removeprefix("shipment.") for event in told] == STEPS
    assert {(event.source, event.shop_id, event.customer_id) for event in told} == {(source_id, "shop", "c1")}
    await assert_health(here, keys, accepted=4, repeated=2)


async def test_the_same_delivery_many_times_at_once(here: Ingest, keys: Keys) -> None:
    source_id = await source(here, keys, "kuaidi100")
    before = counted(metrics.INGEST_EVENTS, "kuaidi100", "accepted")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(call(here, source_id, "kuaidi100", track(TRACK), query=QUERY))
    assert len(await rows_of(here.pool)) == 4
    assert counted(metrics.INGEST_EVENTS, "kuaidi100", "accepted") == before + 4


KDNIAO = [
    {"AcceptTime": "2026-02-26 18:31:38", "AcceptStation": "已收件", "Action": "1"},
    {"AcceptTime": "2026-02-28 07:00:00", "AcceptStation": "已到达【达州网点】", "Action": "2"},
    {"AcceptTime": "2026-02-28 09:00:00", "AcceptStation": "派件员李四", "Action": "202"},
    {"AcceptTime": "2026-02-28 12:00:00", "AcceptStation": "本人签收", "Action": "301"},
]
AFTERSHIP = [
    {"checkpoint_time": "2026-01-14T00:52:00Z", "message": "Accepted", "tag": "InTransit"},
    {"checkpoint_time": "2026-01-15T00:52:00Z", "message": "Arrived in Boston", "tag": "InTransit"},
    {"checkpoint_time": "2026-01-16T00:52:00Z", "message": "On the way", "tag": "OutForDelivery"},
    {"checkpoint_time": "2026-01-16T09:52:00Z", "message": "Delivered", "tag": "Delivered"},
]


def pushed(kind: str, known: int) -> dict[str, Any]:
    """A parcel's whole track, as far as it is known."""
    if kind == "kdniao":
        callback = "customer=c1&city=达州市"
        parcel = {"LogisticCode": "YD1", "OrderCode": "o1", "Callback": callback, "Traces": KDNIAO[:known]}
        return {"EBusinessID": "12", "Data": [parcel]}
    custom = {"customer_id": "c1", "order_id": "o1", "city": "Boston"}
    message = {"tracking_number": "94", "tag": AFTERSHIP[known - 1]["tag"], "checkpoints": AFTERSHIP[:known]}
    return {"event": "tracking_update", "event_id": f"e{known}", "msg": message | {"custom_fields": custom}}


@pytest.mark.parametrize("kind", ["kdniao", "aftership"])
async def test_so_it_is_with_the_other_trackers_out_of_order_too(here: Ingest, keys: Keys, kind: str) -> None:
    source_id = await source(here, keys, kind)
    for known in (3, 1, 2, 4, 4, 1):
        assert (await call(here, source_id, kind, pushed(kind, known))).status_code == 200
    told = [row.event for row in await rows_of(here.pool)]
    assert [event.type.removeprefix("shipment.") for event in told] == STEPS
    await assert_health(here, keys, accepted=4, repeated=4)


async def test_every_platform_gets_its_answer(here: Ingest, keys: Keys) -> None:
    kdniao = await call(here, await source(here, keys, "kdniao"), "kdniao", {"EBusinessID": "12", "Data": []})
    assert kdniao.json() | {"UpdateTime": ""} == {"EBusinessID": "12", "UpdateTime": "", "Success": True, "Reason": ""}
    for kind in ("aftership", "woocommerce"):
        answer = await call(here, await source(here, keys, kind), kind, {"event": "edd_revise"})
        assert answer.status_code == 200


async def test_a_wrong_signature_is_counted_and_takes_nothing(here: Ingest, keys: Keys) -> None:
    source_id = await source(here, keys, "kuaidi100")
    before = counted(metrics.HOOK_SIGNATURE_FAILURES, "kuaidi100")
    answer = await call(here, source_id, "kuaidi100", track(TRACK), secret="another-secret", query=QUERY)
    assert_problem(answer, 401, "Unauthorized")
    assert_problem(await here.client.post(f"/v1/hooks/{source_id}"), 401, "Unauthorized")
    assert counted(metrics.HOOK_SIGNATURE_FAILURES, "kuaidi100") == before + 2
    assert await rows_of(here.pool) == []
    await assert_health(here, keys, signature_failures=2)
    (shown,) = (await here.client.get("/v1/sources", headers=keys["operator"])).json()["items"]
    assert shown["last_delivery_at"] is None


async def test_a_source_without_a_secret_takes_nothing(here: Ingest, keys: Keys) -> None:
    source_id = await source(here, keys, "aftership", secret=None)
    assert_problem(await call(here, source_id, "aftership", {}, secret=""), 401, "Unauthorized")
    rotated = await here.client.post(
        f"/v1/sources/{source_id}/secrets", json={"secret": SECRET}, headers=keys["operator"]
    )
    assert rotated.status_code == 201
    assert (await call(here, source_id, "aftership", {"event": "edd_revise"})).status_code == 200


async def test_two_secrets_are_good_while_one_replaces_the_other(here: Ingest, keys: Keys) -> None:
    source_id = await source(here, keys, "aftership")
    address, told = f"/v1/sources/{source_id}/secrets", {"event": "edd_revise"}
    await here.client.post(address, json={"secret": "the-second"}, headers=keys["operator"])
    for secret in (SECRET, "the-second"):
        assert (await call(here, source_id, "aftership", told, secret)).status_code == 200
    await here.client.post(address, json={"secret": "the-third", "old_valid_hours": 0}, headers=keys["operator"])
    for secret, status in ((SECRET, 401), ("the-second", 401), ("the-third", 200)):
        assert (await call(here, source_id, "aftership", told, secret)).status_code == status


@pytest.mark.parametrize("source_id", ["src_0", "src_000000000000000000000000", "%00", "ü", "a%2Fb"])
async def test_an_unknown_source(here: Ingest, source_id: str) -> None:
    assert (await here.client.post(f"/v1/hooks/{source_id}", content=b"{}")).status_code == 404


async def test_a_body_that_is_too_large(here: Ingest, keys: Keys, settings: Settings) -> None:
    source_id = await source(here, keys, "aftership")
    answer = await here.client.post(f"/v1/hooks/{source_id}", content=b"x" * (settings.body_max_bytes + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_cannot_be_converted_is_kept_sealed_and_can_be_sent_again(
    here: Ingest, keys: Keys, admin: asyncpg.Connection
) -> None:
    source_id = await source(here, keys, "kuaidi100")
    before = counted(metrics.INGEST_REJECTIONS, "kuaidi100", "no_customer")
    answer = await call(here, source_id, "kuaidi100", track(TRACK), query={"customer": "c1"})
    assert answer.status_code == 200  # it is kept: the platform could only send the same again
    assert counted(metrics.INGEST_REJECTIONS, "kuaidi100", "no_customer") == before + 1
    letter = await admin.fetchrow("SELECT * FROM ingest.dead_letters")
    assert letter is not None
    assert (letter["topic"], letter["shop_id"], letter["path"]) == (f"hooks/{source_id}", "shop", "$.query.order")
    assert b"SF100" not in letter["body"]
    kept = json.loads(Vault(MASTER_KEY).open_letter(letter["body"]))
    door = f"/v1/sources/{source_id}/deliveries"
    assert_problem(
        await here.client.post(door, json=kept, headers=keys["operator"]), 422, "Delivery rejected", "$.query.order"
    )
    mended = kept | {"query": QUERY}
    for status in ("accepted", "duplicate"):
        sent = await here.client.post(door, json=mended, headers=keys["operator"])
        assert (sent.status_code, sent.json()) == (202, {"status": status})
    assert len(await rows_of(here.pool)) == 4
    assert_problem(await here.client.post(door, content=b"[]", headers=keys["operator"]), 400, "Malformed request", "$")


async def test_a_delivery_that_is_ignored_is_answered_so_when_it_is_sent_again(here: Ingest, keys: Keys) -> None:
    source_id = await source(here, keys, "shopify")
    kept = msgspec.json.encode(Delivery(b"{}", {"x-shopify-topic": "themes/publish"}))
    sent = await here.client.post(f"/v1/sources/{source_id}/deliveries", content=kept, headers=keys["operator"])
    assert (sent.status_code, sent.json()) == (202, {"status": "ignored"})


async def test_an_event_that_is_not_accepted_does_not_keep_back_the_others(here: Ingest, keys: Keys) -> None:
    """A refund in another currency than the shop's comes of an order as a whole; a step too old comes alone."""
    source_id = await source(here, keys, "kuaidi100")
    old = [*TRACK[:3], TRACK[3] | {"time": "2001-06-28 22:28:45"}]
    assert (await call(here, source_id, "kuaidi100", track(old), query=QUERY)).status_code == 200
    assert [row.event.type.removeprefix("shipment.") for row in await rows_of(here.pool)] == STEPS[1:]
    await assert_health(here, keys, accepted=3, refused=1)


def order(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": 727, "status": status, "currency": "CNY", "total": "29.35", "customer_id": 0,
        "date_created_gmt": "2026-03-22T19:28:02", "date_modified_gmt": "2026-03-22T19:30:35",
        "billing": {"email": "jane@example.com", "first_name": "Jane", "phone": "(555) 555-0100"},
    } | more  # fmt: skip


async def test_an_order_of_woocommerce_however_often_it_is_delivered(
    here: Ingest, keys: Keys, admin: asyncpg.Connection
) -> None:
    source_id = await source(here, keys, "woocommerce")
    assert (await here.client.post(f"/v1/hooks/{source_id}", content=b"webhook_id=8")).status_code == 200
    paid = {"date_paid_gmt": "2026-03-22T19:28:08"}
    for told in (
        order("pending"),
        order("processing", **paid),
        order("processing", **paid),
        order("completed", **paid),
    ):
        assert (await call(here, source_id, "woocommerce", told)).status_code == 200
    refunds = [{"id": 9, "total": "-10.00"}]
    for told in (order("refunded", **paid, refunds=refunds), order("pending")):
        assert (await call(here, source_id, "woocommerce", told)).status_code == 200
    told_of = [row.event for row in await rows_of(here.pool)]
    assert [event.type for event in told_of] == ["order.placed", "order.paid", "order.completed", "order.refunded"]
    (guest,) = {event.customer_id for event in told_of}
    assert guest.startswith("p_")
    planted = ("jane", "Jane", "555-0100")
    for table in ("outbox", "dead_letters", "sources", "vault"):
        written = str(await admin.fetch(f"SELECT * FROM ingest.{table}"))
        assert not [text for text in planted if text in written], table
    async with here.pool.acquire() as connection:
        found = await Vault(MASTER_KEY).get(connection, "shop", [guest], ["email", "name"])
    assert found == {guest: {"email": "jane@example.com", "name": "Jane"}}


@pytest.mark.parametrize("kind", CONNECTORS)
async def test_no_body_brings_the_door_down(here: Ingest, keys: Keys, kind: str) -> None:
    """Signed, since nothing else comes in; and unsigned, as it comes from anybody."""
    source_id = await source(here, keys, kind)
    json_bodies = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ).map(lambda told: json.dumps(told).encode())
    bodies: list[bytes] = []

    @searched(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(body=st.binary(max_size=80) | json_bodies)
    def gather(body: bytes) -> None:
        bodies.append(body)

    gather()
    for body in bodies:
        assert (await call(here, source_id, kind, body, query={"order": "o", "customer": "c"})).status_code == 200
        unsigned = await here.client.post(f"/v1/hooks/{source_id}", content=body)
        assert unsigned.status_code in (200, 401)
    assert len(bodies) >= EXAMPLES
