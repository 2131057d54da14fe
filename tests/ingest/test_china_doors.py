"""Youzan, Douyin and messages that are passed on, through the real door: signed, repeated, and in the wrong order."""

import hmac
import json
from collections.abc import AsyncIterator
from hashlib import md5, sha256
from typing import Any

import asyncpg
import httpx
import pytest

from common.contracts.topics import INGEST_EVENTS
from common.settings import Settings
from tests.ingest.conftest import Ingest, Keys, assert_problem, open_ingest

SECRET = "a-secret-of-the-app"
AT = 1767232800


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


async def source(here: Ingest, keys: Keys, kind: str, **options: Any) -> str:
    told = {"kind": kind, "secret": SECRET, "options": options}
    answer = await here.client.post("/v1/sources", json=told, headers=keys["operator"])
    return str(answer.json()["path"])


async def send(here: Ingest, path: str, told: Any, secret: str = SECRET) -> httpx.Response:
    """With the signatures of all of them: each connector looks at its own."""
    body = json.dumps(told, ensure_ascii=False).encode()
    digest = md5(b"app" + body + secret.encode(), usedforsecurity=False).hexdigest()
    ours = hmac.digest(secret.encode(), body, sha256).hex()
    headers = {"event-sign": digest, "client-id": "app", "app-id": "app", "x-regulars-signature": ours}
    return await here.client.post(path, content=body, headers=headers)


async def story(pool: asyncpg.Pool) -> list[tuple[str, int | None]]:
    """What was told of orders, with its amount."""
    found = await pool.fetch(
        "SELECT body FROM outbox WHERE topic = $1 AND key <> '' ORDER BY xid, id", INGEST_EVENTS.name
    )
    events = [json.loads(row["body"]) for row in found]
    return [
        (event["type"], event["data"].get("amount", {}).get("amount_minor"))
        for event in events
        if not event["type"].startswith("customer.")
    ]


def douyin(tag: str, **data: Any) -> dict[str, Any]:
    return {"tag": tag, "msg_id": "1", "data": json.dumps({"p_id": 6917479013219536388} | data)}


async def test_an_order_of_douyin_is_completed_with_what_was_paid(here: Ingest, keys: Keys) -> None:
    path = await source(here, keys, "douyin")
    assert (await here.client.post(path, content=b'[{"tag":"0"}]')).text == '{"code":0,"msg":"success"}'
    calls = [
        [douyin("103", complete_time=AT + 9)],  # overtakes the payment
        [douyin("101", pay_amount=2990, pay_time=AT), douyin("102", logistics_msg={"logistics_code": "SF1"})],
        [douyin("206", aftersale_id=7, refund_amount=990, success_time=AT + 99)],
    ]
    for call in calls * 2:
        assert (await send(here, path, call)).text == '{"code":0,"msg":"success"}'
    assert sorted(await story(here.pool)) == [
        ("order.completed", 2990),
        ("order.paid", 2990),
        ("order.refunded", 990),
        ("shipment.dispatched", None),
    ]
    assert_problem(await send(here, path, calls[0], secret="another-secret"), 401, "Unauthorized")


async def test_an_order_of_youzan(here: Ingest, keys: Keys) -> None:
    path = await source(here, keys, "youzan", kdt_id="1001")
    head = {"tid": "E1", "created": "2026-01-01 10:00:00", "pay_time": "2026-01-01 10:05:00"}
    order = {"order_info": head, "pay_info": {"payment": "29.90"}, "buyer_info": {"buyer_id": 42}}

    def push(kind: str, msg: Any, **more: Any) -> dict[str, Any]:
        return {"type": kind, "kdt_id": 1001, "client_id": "app", "sign": "0" * 32, "msg": msg} | more

    pushes = [
        push("trade_TradeSuccess", {"tid": "E1", "update_time": "2026-01-09 10:00:00"}),
        push("trade_TradeBuyerPay", {"full_order_info": order}),
        push("trade_TradePaid", {"full_order_info": order}, sendCount=3),
        push("trade_TradePaid", {"full_order_info": order}, test=True),
        push("trade_TradePaid", {"full_order_info": order}, kdt_id=1002),
    ]
    for told in pushes * 2:
        assert (await send(here, path, told)).text == '{"code":0,"msg":"success"}'
    assert sorted(await story(here.pool)) == [("order.completed", 2990), ("order.paid", 2990), ("order.placed", 2990)]
    assert_problem(await send(here, path, pushes[0], secret="another-secret"), 401, "Unauthorized")


async def test_what_a_process_of_the_shop_s_passes_on(here: Ingest, keys: Keys) -> None:
    """Two messages of an answer of Taobao's API, and one of Pinduoduo's with the amount that the shop knows."""
    taobao, pinduoduo = await source(here, keys, "taobao"), await source(here, keys, "pinduoduo")
    content = json.dumps({"tid": 585608839663430, "payment": "48.90", "buyer_nick": "b"})
    messages = [
        {"topic": f"taobao_trade_{name}", "content": content, "pub_time": "2026-01-01 10:00:00", "id": number}
        for number, name in enumerate(("TradeCreate", "TradeBuyerPay"))
    ]
    answered = {"tmc_messages_consume_response": {"messages": {"tmc_message": messages}}}
    paid = {"type": "pdd_trade_TradeConfirmed", "mallID": 1, "content": '{"tid":"260101-1","pay_amount":1990}'}
    for _ in range(2):
        assert (await send(here, taobao, answered)).status_code == 200
        assert (await send(here, pinduoduo, paid)).status_code == 200
    assert sorted(await story(here.pool)) == [("order.paid", 1990), ("order.paid", 4890), ("order.placed", 4890)]
    for path in (taobao, pinduoduo):
        assert_problem(await send(here, path, {}, secret="another-secret"), 401, "Unauthorized")
        assert_problem(await here.client.post(path, content=b"{}"), 401, "Unauthorized")
