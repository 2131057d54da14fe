"""People who are merged, who say no, and who ask to be forgotten: what stands in notifier's tables then."""

import asyncio

import httpx

from common.contracts.ingest import ConsentChanged, CustomerErased, CustomerMerged
from common.contracts.notifier import MessageSent, MessageSuppressed
from common.web.app import create_app
from notifier import store, wording
from notifier.api import router
from notifier.sender import LONG_AGO
from tests.notifier.conftest import SHOPS, Notifier, gift, sms
from tests.notifier.test_page import keys_of


async def test_a_no_is_heeded_and_told(notifier: Notifier) -> None:
    await notifier.hear(ConsentChanged("email", "marketing", granted=False))
    await notifier.ask(gift("k1"), sms("k2"))
    facts = await notifier.told(2, notifier.sender().run)
    assert set(facts) == {
        MessageSuppressed("k1", "email", "gift_30d", "gift", "no consent"),
        MessageSent("k2", "sms", "payment_reminder", "1h"),
    }
    assert await notifier.rows("message_key, status, reason") == [
        ("k1", "suppressed", "no consent"),
        ("k2", "sent", None),
    ]
    await notifier.hear(ConsentChanged("email", "marketing", granted=True))
    await notifier.ask(gift("k3"))
    assert (await notifier.told(3, notifier.sender().run))[-1] == MessageSent("k3", "email", "gift_30d", "gift")


async def test_nothing_of_who_is_forgotten_rests(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), gift("k2"), sms("k3", channel="in_app"))
    await notifier.ask(sms("k4"), customer="bob")
    await notifier.told(4, notifier.sender().run)
    await notifier.hear(CustomerErased())
    assert await notifier.rows("message_key, params::text, erased") == [
        ("k1", "{}", True),
        ("k2", "{}", True),
        ("k3", "{}", True),
        ("k4", '{"order_id":"o1","amount_minor":1250,"currency":"CNY"}', False),
    ]
    assert await notifier.rows("id", "mailbox") == []
    bodies = await notifier.pool.fetch("SELECT body::text FROM states WHERE customer_id = 'ann'")
    assert "1250" not in bodies[0][0]


async def test_what_waits_for_who_is_forgotten_goes_nowhere(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    notifier.vault.people.clear()
    await notifier.hear(CustomerErased())
    assert await notifier.told(1, notifier.sender().run) == [
        MessageSuppressed("k1", "sms", "payment_reminder", "1h", "no phone")
    ]
    await notifier.ask(sms("k2"))
    assert len(await notifier.told(2, notifier.sender().run)) == 2


async def test_a_letter_on_its_way_is_not_kept_once_it_is_forgotten(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    sender = notifier.sender()
    async with notifier.pool.acquire() as connection:
        claimed = await store.claim(connection, 10, LONG_AGO)
    outgoing, _ = await sender._preparation.of(claimed)
    await notifier.hear(CustomerErased())
    await sender._mailbox.send(outgoing)
    assert await notifier.rows("id", "mailbox") == []


async def test_forgetting_waits_for_a_letter_that_is_just_being_kept(notifier: Notifier) -> None:
    """Between the two statements of forgetting and the one of keeping nothing slips through."""
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    sender = notifier.sender()
    async with notifier.pool.acquire() as connection:
        claimed = await store.claim(connection, 10, LONG_AGO)
    (outgoing,), _ = await sender._preparation.of(claimed)
    await notifier.happen(CustomerErased())
    kept = ("shop", "k1", "ann", "sms", "138****1234", None, outgoing.kept.body, outgoing.at)
    async with asyncio.TaskGroup() as tasks, notifier.pool.acquire() as connection, connection.transaction():
        await store.keep(connection, [kept])
        forgetting = tasks.create_task(notifier.heard())
        while not await notifier.pool.fetchval(WAITS):
            assert not forgetting.done()
    assert await notifier.rows("id", "mailbox") == []


# Somebody waits for a row that another has locked.
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def test_the_inbox_is_that_of_who_lives_on(notifier: Notifier, fresh_database: str) -> None:
    keys = await keys_of(fresh_database)
    await notifier.ask(sms("k1", channel="in_app"), customer="bob")
    await notifier.told(1)
    await notifier.hear(CustomerMerged("bob"))
    app = create_app("test", [router(notifier.pool, wording.packaged(), SHOPS, "小店")], {}, 1_000)
    app.state.key_ring = keys.ring(notifier.pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        for name in ("ann", "bob"):
            shown = (await client.get(f"/v1/inbox/{name}", headers=keys.shop)).json()["items"]
            assert [item["message_key"] for item in shown] == ["k1"]
