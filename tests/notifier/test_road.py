"""Notifier as a whole: requests on journeys' outbox in, rows, letters and facts out."""

import httpx

from common.contracts.journeys import JourneyEntered
from common.contracts.notifier import MessageFailed, MessageSent, MessageSuppressed
from common.web.app import create_app
from common.web.paging import encode_cursor
from notifier import wording
from notifier.api import router
from tests.notifier.conftest import NOON, ORDER, SHOPS, Notifier, gift, sms
from tests.notifier.test_page import keys_of

REMINDER = "【小店】您的订单o1还未付款，金额¥12.50，宝贝正为您留着，付款后尽快发货。如已付款请忽略。"


async def test_each_message_reaches_its_place_and_becomes_a_fact(notifier: Notifier) -> None:
    await notifier.ask(
        JourneyEntered("payment_reminder", "o1"),
        sms("k1", channel="in_app", step="5m", template="payment_reminder_5m"),
        sms("k2"),
        gift("k3"),
    )
    facts = await notifier.told(3, notifier.sender().run)
    assert facts[0] == MessageSent("k1", "in_app", "payment_reminder", "5m")
    assert set(facts[1:]) == {
        MessageSent("k2", "sms", "payment_reminder", "1h"),
        MessageSent("k3", "email", "gift_30d", "gift"),
    }
    assert await notifier.rows("message_key, number, channel, purpose, guarantee, status, sent_at, reason, tries") == [
        ("k1", 1, "in_app", "transactional", "at least once", "sent", NOON, None, 0),
        ("k2", 2, "sms", "transactional", "at least once", "sent", NOON, None, 1),
        ("k3", 3, "email", "marketing", "at most once", "sent", NOON, None, 1),
    ]
    letters = await notifier.rows("message_key, customer_id, channel, to_masked, subject, body, at", "mailbox")
    assert letters[0] == ("k2", "ann", "sms", "138****1234", None, REMINDER, NOON)
    assert letters[1][:5] == ("k3", "ann", "email", "a***@example.com", "送您一张5元无门槛优惠券")
    assert letters[1][5].startswith("您好！")


async def test_the_same_key_again_gives_nothing(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), sms("k1"), sms("k2", channel="in_app"))
    await notifier.told(2, notifier.sender().run)
    await notifier.ask(sms("k1"), sms("k2", channel="in_app"), sms("k3", channel="in_app"))
    facts = await notifier.told(3, notifier.sender().run)
    assert len(facts) == 3
    assert [row[0] for row in await notifier.rows("message_key")] == ["k1", "k2", "k3"]
    assert len(await notifier.rows("id", "mailbox")) == 1


async def test_a_key_that_the_state_forgot_is_refused_aloud(notifier: Notifier) -> None:
    await notifier.ask(sms("k1", channel="in_app"))
    await notifier.told(1)
    await notifier.pool.execute("UPDATE states SET body = replace(body::text, '\"keys\":[\"k1\"],', '')::json")
    await notifier.ask(sms("k1", channel="in_app"), sms("k2", channel="in_app"))
    facts = await notifier.told(2)
    assert [fact.message_key for fact in facts if isinstance(fact, MessageSent)] == ["k1", "k2"]
    (letter,) = await notifier.pool.fetch("SELECT topic, reason FROM dead_letters")
    assert letter["topic"] == "journeys.requests.v1"
    assert letter["reason"].startswith("UniqueViolationError")


async def test_more_in_one_batch_than_a_state_keeps(notifier: Notifier) -> None:
    wanted = [f"k{number:02}" for number in range(40)]
    await notifier.ask(*(sms(key, channel="in_app") for key in wanted))
    facts = await notifier.told(40)
    assert [fact.message_key for fact in facts if isinstance(fact, MessageSent)] == wanted
    assert [row[0] for row in await notifier.rows("message_key")] == wanted
    assert await notifier.pool.fetchval("SELECT count(*) FROM dead_letters") == 0


async def test_history_leaves_no_trace(notifier: Notifier) -> None:
    await notifier.ask(sms("k1", channel="in_app"), sms("k2"), historic=True)
    await notifier.ask(sms("k3", channel="in_app"))
    assert len(await notifier.told(1)) == 1
    assert [row[0] for row in await notifier.rows("message_key")] == ["k3"]


async def test_without_an_address_nothing_is_sent(notifier: Notifier) -> None:
    notifier.vault.people = {"ann": {"name": "安"}, "bob": {"phone": " ", "email": "bob@example.com"}}
    await notifier.ask(sms("k1"), gift("k2"))
    await notifier.ask(sms("k3"), gift("k4"), customer="bob")
    await notifier.ask(sms("k5"), customer="nobody")
    facts = await notifier.told(5, notifier.sender().run)
    assert {fact.message_key: fact.reason for fact in facts if isinstance(fact, MessageSuppressed)} == {
        "k1": "no phone",
        "k2": "no email",
        "k3": "no phone",
        "k5": "no phone",
    }
    assert [row[0] for row in await notifier.rows("message_key", "mailbox")] == ["k4"]


async def test_what_cannot_be_rendered_fails_with_the_reason(notifier: Notifier) -> None:
    await notifier.ask(
        sms("k1", params={"order_id": "o1"}),
        sms("k2", template="gone"),
        sms("k3", channel="email"),
        sms("k4", channel="in_app", params={}),
    )
    facts = await notifier.told(4, notifier.sender().run)
    assert {fact.message_key: fact.reason for fact in facts if isinstance(fact, MessageFailed)} == {
        "k1": "zh-CN/payment_reminder_1h.liquid: 'amount_minor' is undefined",
        "k2": "no template 'gone' in zh-CN",
        "k3": "template 'payment_reminder_1h' has no subject, an e-mail needs one",
        "k4": "en/payment_reminder_1h.liquid: 'order_id' is undefined",
    }
    assert {row[0] for row in await notifier.rows("status")} == {"failed"}


async def test_nothing_personal_rests(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), gift("k2"), sms("k3", channel="in_app"))
    await notifier.told(3, notifier.sender().run)
    tables = await notifier.pool.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'notifier'"
    )
    everything = ""
    for (table,) in tables:
        rows = await notifier.pool.fetch(f"SELECT row_to_json(t)::text FROM {table} t")
        everything += "".join(row[0] for row in rows)
    bodies = await notifier.pool.fetch("SELECT convert_from(body, 'utf8') FROM outbox")
    everything += "".join(row[0] for row in bodies)
    assert "138****1234" in everything
    for personal in ("13800131234", "ann@example.com", "安，"):
        assert personal not in everything


async def test_the_answers_over_http(notifier: Notifier, fresh_database: str) -> None:
    keys = await keys_of(fresh_database)
    await notifier.ask(
        *(sms(f"k{n}", channel="in_app", step="5m", params={**ORDER, "order_id": f"o{n}"}) for n in range(3))
    )
    await notifier.ask(sms("k3"), gift("k4"))
    await notifier.told(5, notifier.sender().run)
    app = create_app("test", [router(notifier.pool, wording.packaged(), SHOPS, "小店")], {}, 1_000)
    app.state.key_ring = keys.ring(notifier.pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        first = (await client.get("/v1/inbox/ann?limit=2", headers=keys.shop)).json()
        assert [item["message_key"] for item in first["items"]] == ["k2", "k1"]
        assert first["items"][0] == {
            "message_key": "k2",
            "at": "2026-05-01T12:00:00Z",
            "journey": "payment_reminder",
            "step": "5m",
            "text": "您的订单o2还未付款，金额¥12.50，宝贝正为您留着，付款后尽快发货。如已付款请忽略。",
        }
        rest = (await client.get(f"/v1/inbox/ann?limit=2&cursor={first['next']}", headers=keys.shop)).json()
        assert ([item["message_key"] for item in rest["items"]], rest["next"]) == (["k0"], None)
        for headers, customer in ((keys.shop, "stranger"), (keys.other, "ann")):
            answer = await client.get(f"/v1/inbox/{customer}", headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})

        assert (await client.get("/v1/messages/stats", headers=keys.shop)).json()["items"] == [
            {"journey": "gift_30d", "step": "gift", "channel": "email", "status": "sent", "count": 1},
            {"journey": "payment_reminder", "step": "1h", "channel": "sms", "status": "sent", "count": 1},
            {"journey": "payment_reminder", "step": "5m", "channel": "in_app", "status": "sent", "count": 3},
        ]
        assert (await client.get("/v1/messages/stats", headers=keys.other)).json() == {"items": []}

        letters = (await client.get("/v1/mailbox", headers=keys.shop)).json()["items"]
        (text,) = [letter for letter in letters if letter["channel"] == "sms"]
        assert (text["to"], text["body"], text["subject"]) == ("138****1234", REMINDER, None)
        assert (text["encoding"], text["units"], text["parts"]) == ("UCS-2", 48, 1)
        (mail,) = [letter for letter in letters if letter["channel"] == "email"]
        assert (mail["encoding"], mail["units"], mail["parts"]) == (None, None, None)
        page = (await client.get("/v1/mailbox?limit=1", headers=keys.shop)).json()
        after = (await client.get(f"/v1/mailbox?limit=1&cursor={page['next']}", headers=keys.shop)).json()
        assert [page["items"][0], after["items"][0]] == letters
        assert after["next"] is None
        assert (await client.get("/v1/mailbox", headers=keys.other)).json()["items"] == []
        beyond = encode_cursor([2**70])
        for path, status in (
            ("/v1/inbox/%00", 422),
            (f"/v1/inbox/ann?cursor={beyond}", 400),
            (f"/v1/mailbox?cursor={beyond}", 400),
        ):
            assert (await client.get(path, headers=keys.shop)).status_code == status
        for path in ("/v1/inbox/ann", "/v1/messages/stats", "/v1/mailbox"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers=keys.ingest)).status_code == 403
