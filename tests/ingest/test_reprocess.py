"""Deliveries kept for a while, and converted again: a connector's mistake is mended, and nothing counts twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from common.clock import RealClock
from common.contracts.envelope import Rejection
from common.settings import Settings
from ingest import deliveries, reprocess
from ingest.connectors import known, woocommerce
from ingest.connectors.port import Converted, Delivery, Ignored, Origin
from ingest.deliveries import Housekeeping
from ingest.vault import Vault
from regulars.asking import Elsewhere
from regulars.home import Home
from regulars.verbs import reprocess as command
from tests.ingest.conftest import MASTER_KEY, Ingest, Keys, assert_problem, lend, open_ingest, rows_of
from tests.ingest.test_hooks import QUERY, TRACK, call, source, track

SINCE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


def order(number: int, status: str = "processing", **more: Any) -> dict[str, Any]:
    billing = {"first_name": "Anna", "last_name": "Smith", "email": f"anna{number}@example.com", "phone": ""}
    told = {"id": number, "status": status, "currency": "CNY", "total": "12.50", "customer_id": number}
    times = {"date_created_gmt": "2026-05-01T12:00:00", "date_paid_gmt": "2026-05-01T12:05:00"}
    return told | times | {"billing": billing, "line_items": []} | more


async def again(here: Ingest, keys: Keys, **more: Any) -> dict[str, Any]:
    wanted = {"connector": "woocommerce", "since": SINCE.isoformat()} | more
    answer = await here.client.post("/v1/deliveries/reprocess", json=wanted, headers=keys["operator"])
    assert answer.status_code == 200, answer.text
    counts: dict[str, Any] = answer.json()
    return counts


def broken(monkeypatch: pytest.MonkeyPatch, convert: Any) -> None:
    connector = structs.replace(woocommerce.CONNECTOR, convert=convert)
    monkeypatch.setattr(known, "CONNECTORS", known.CONNECTORS)
    monkeypatch.setitem(known.CONNECTORS, "woocommerce", connector)


async def test_a_mistake_is_mended(here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connector that ignored completed orders and refused big ones: mended, what was missed is told, once."""

    def mistaken(delivery: Delivery, origin: Origin[Any]) -> Converted | Ignored:
        if b'"completed"' in delivery.body:
            return Ignored("a mistake")
        if b'"999.00"' in delivery.body:
            return Converted((), (Rejection("$.total", "a mistake"),))
        return woocommerce.convert(delivery, origin)

    with monkeypatch.context() as while_it_lasts:
        broken(while_it_lasts, mistaken)
        source_id = await source(here, keys, "woocommerce")
        for told in (order(1), order(2), order(2), order(1, "completed"), order(3, total="999.00")):
            assert (await call(here, source_id, "woocommerce", told)).status_code == 200
    before = [(row.event.id, row.event.type) for row in await rows_of(here.pool)]
    assert [type_ for _, type_ in before] == ["order.placed", "order.paid"] * 2
    assert await here.pool.fetchval("SELECT count(*) FROM raw_deliveries") == 5
    async with open_ingest_again(here) as mended:
        expected = {"deliveries": 5, "new": 3, "repeated": 4, "ignored": 0, "refused": 0, "unreadable": 0, "next": None}
        assert await again(mended, keys, dry_run=True) == expected
        assert len(await rows_of(mended.pool)) == 4
        assert await again(mended, keys) == expected
        after = [(row.event.id, row.event.type) for row in await rows_of(mended.pool)]
        assert after[:4] == before
        assert sorted(type_ for _, type_ in after[4:]) == ["order.completed", "order.paid", "order.placed"]
        assert len({id_ for id_, _ in after}) == 7
        assert await again(mended, keys) == expected | {"new": 0, "repeated": 7}
        assert len(await rows_of(mended.pool)) == 7
        assert await mended.pool.fetchval("SELECT count(*) FROM raw_deliveries") == 5  # it was not received again


def open_ingest_again(here: Ingest) -> Any:
    """The next deploy: sources are held no more."""
    settings = here.flusher._settings
    return open_ingest(settings)


async def test_in_chunks_and_by_time(here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprocess, "CHUNK_DELIVERIES", 2)
    source_id = await source(here, keys, "woocommerce")
    for number in range(5):
        await call(here, source_id, "woocommerce", order(number))
    rows = await here.pool.fetch("SELECT received_at FROM raw_deliveries ORDER BY id")
    at = [row["received_at"] for row in rows]
    seen, cursor = [], None
    while True:
        counts = await again(here, keys, cursor=cursor)
        seen.append(counts["deliveries"])
        cursor = counts["next"]
        if cursor is None:
            break
    assert seen == [2, 2, 1]
    some = await again(here, keys, since=at[1].isoformat(), until=at[3].isoformat())
    assert (some["deliveries"], some["repeated"]) == (2, 4)
    one = await again(here, keys, connector=None, source_id=source_id, since=at[4].isoformat())
    assert one["deliveries"] == 1


async def test_an_event_without_a_time_happened_when_it_came(
    here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_id = await source(here, keys, "kuaidi100")
    await call(here, source_id, "kuaidi100", track([{"context": "已签收", "statusCode": "301"}], "3"), query=QUERY)
    told = [row.event for row in await rows_of(here.pool)]
    received = await here.pool.fetchval("SELECT received_at FROM raw_deliveries")
    await here.pool.execute("DELETE FROM outbox WHERE key <> ''")
    await here.pool.execute("DELETE FROM seen")
    counts = await again(here, keys, connector="kuaidi100")
    assert counts["new"] == len(told)
    for event in [row.event for row in await rows_of(here.pool)]:
        assert event.received_at > received
        assert event.occurred_at <= received


async def test_who_may(here: Ingest, keys: Keys) -> None:
    await source(here, keys, "woocommerce")

    async def ask(who: str, **wanted: Any) -> Any:
        body = {"connector": "woocommerce", "since": SINCE.isoformat()} | wanted
        return await here.client.post("/v1/deliveries/reprocess", json=body, headers=keys[who])

    assert_problem(await ask("sender"), 403, "Forbidden")
    assert_problem(await ask("other"), 404, "Not Found")
    assert_problem(await ask("operator", source_id="x"), 422, "Invalid request", "$")
    assert_problem(await ask("operator", connector=None), 422, "Invalid request", "$")
    assert_problem(await ask("operator", since="2026-01-01T00:00:00"), 422, "Invalid request", "$.since")
    assert_problem(await ask("operator", cursor="zz"), 400, "Bad cursor", "$.cursor")


async def test_they_stand_sealed_under_their_customers_key(here: Ingest, keys: Keys) -> None:
    """One customer's under that one's key; what nobody can be found for under the master key; and no probe at all."""
    woo, parcels = await source(here, keys, "woocommerce"), await source(here, keys, "kuaidi100")
    await call(here, woo, "woocommerce", order(1))
    await call(here, woo, "woocommerce", order(1))
    await call(here, woo, "woocommerce", {"id": "no order"})
    await call(here, parcels, "kuaidi100", track(TRACK), query=QUERY)
    assert (await here.client.post(f"/v1/hooks/{woo}", content=b"webhook_id=1")).status_code == 200
    assert (await here.client.post(f"/v1/hooks/{woo}", content=b"unsigned")).status_code == 401
    rows = await here.pool.fetch("SELECT * FROM raw_deliveries ORDER BY id")
    assert [row["source_id"] for row in rows] == [woo, woo, woo, parcels]
    owners = [row["customer_id"] for row in rows]
    assert owners[0] is not None
    assert owners == [owners[0], owners[0], None, "c1"]
    assert not [row for row in rows if b"anna" in row["sealed"]]
    vault = Vault(MASTER_KEY)
    assert b"no order" in deliveries._DELIVERY.decode(deliveries.opened_by_master(vault, rows[2]["sealed"])).body
    async with here.pool.acquire() as connection:
        (first, second) = await deliveries.of_customers(connection, vault, "shop", [owners[0]])
    assert first.delivery == second.delivery
    assert first.delivery is not None
    assert b"anna1@example.com" in first.delivery.body


async def test_they_are_dropped_after_some_days(here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "EXPIRE_ROWS", 2)
    source_id = await source(here, keys, "woocommerce")
    for number in range(5):
        await call(here, source_id, "woocommerce", order(number))
    old = timedelta(days=31)
    await here.pool.execute("UPDATE raw_deliveries SET received_at = received_at - $1::interval WHERE id <> 2", old)
    housekeeping = Housekeeping(here.pool, RealClock(), 30)
    assert [await housekeeping.expire() for _ in range(3)] == [2, 2, 0]
    assert [row["id"] for row in await here.pool.fetch("SELECT id FROM raw_deliveries")] == [2]


async def test_none_are_kept_where_none_are_wanted(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings.model_copy(update={"raw_days": 0})) as here:
        source_id = await source(here, keys, "woocommerce")
        await call(here, source_id, "woocommerce", order(1))
        await call(here, source_id, "woocommerce", {"ignored": True})
        assert len(await rows_of(here.pool)) == 2
        assert await here.pool.fetchval("SELECT count(*) FROM raw_deliveries") == 0


async def test_the_command(
    settings: Settings,
    here: Ingest,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    source_id = await source(here, keys, "woocommerce")
    for number in range(3):
        await call(here, source_id, "woocommerce", order(number))
    key = keys["operator"]["Authorization"].removeprefix("Bearer ")
    monkeypatch.setattr(reprocess, "CHUNK_DELIVERIES", 2)
    lend(monkeypatch, here)
    home, there = Home(tmp_path), Elsewhere(["http://test"], key)
    assert await command.reprocess(home, "shop", None, "woocommerce", SINCE, None, False, there) == 0
    told = capsys.readouterr().out
    assert told == "3 deliveries: 0 new events, 6 events known already, 0 ignored, 0 refused, 0 unreadable\n"
    with pytest.raises(ValueError, match="no such source"):
        await command.reprocess(home, "shop", "src_x", None, SINCE, None, False, there)
