"""Notifier's own schema in a fresh database, a vault that holds what a test puts in, and everything run for real."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from common.bus.bell import Bell, wait
from common.clock import FrozenClock
from common.contracts.envelope import Data, Decoder, Event
from common.contracts.journeys import MessageRequested
from common.contracts.topics import DELIVERIES, INGEST_EVENTS, NOTIFIER_WORK, REQUESTS
from common.db import outbox
from common.db.engine import open_pool
from common.house import House
from common.settings import Settings
from common.shops import Shop
from notifier import wording
from notifier.app import service
from notifier.channels.mailbox import Mailbox
from notifier.channels.port import Channel
from notifier.contacts import Contacts
from notifier.sender import Sender
from tests.laws.streams import event
from tests.postgres_fixture import copied

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PATIENCE_S = 30  # until a test says that what it waits for does not come
LOOK_AGAIN_S = 0.05
INTERNAL_KEY = "i" * 40
SHOPS: Mapping[str, Shop] = {
    "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN"),
    "other": Shop("other", "America/Sao_Paulo", "BRL", "en", "olist"),
}
ORDER: dict[str, str | int] = {"order_id": "o1", "amount_minor": 1250, "currency": "CNY"}

# What the shop and notifier itself have told and notifier has not decided.
UNHEARD = """
SELECT (SELECT count(*) FROM ingest.events_v1 o LEFT JOIN marks m ON (m.topic, m.part) = ($1, o.part)
    WHERE m.xid IS NULL OR (o.xid, o.id) > (m.xid, m.id))
    + (SELECT count(*) FROM outbox o LEFT JOIN marks m USING (topic, part)
    WHERE o.topic = $2 AND (m.xid IS NULL OR (o.xid, o.id) > (m.xid, m.id)))
"""


@dataclass
class Vault:
    """Ingest's vault as notifier sees it."""

    people: dict[str, dict[str, str]] = field(default_factory=dict)
    away: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        wanted = json.loads(request.content)
        self.asked.append(wanted)
        assert request.url.path == "/internal/vault/contacts"
        assert request.headers["x-api-key"] == INTERNAL_KEY
        if self.away:
            return httpx.Response(503)
        found = {one: self.people[one] for one in wanted["customer_ids"] if one in self.people}
        return httpx.Response(
            200, json={one: {f: v for f, v in known.items() if f in wanted["fields"]} for one, known in found.items()}
        )


@dataclass
class Notifier:
    """The service on its database, with journeys' and ingest's outboxes to feed it from."""

    house: House
    pool: asyncpg.Pool
    feed: asyncpg.Pool
    shop: asyncpg.Pool
    vault: Vault
    client: httpx.AsyncClient
    numbers: int = 0

    def sender(self, smtp: Channel | None = None, mailbox: Channel | None = None) -> Sender:
        """A sender of its own, as another process has one."""
        return Sender(
            self.pool,
            wording.packaged(),
            Contacts(self.client, SecretStr(INTERNAL_KEY)),
            mailbox or Mailbox(self.pool),
            smtp,
            SHOPS,
            self.house.settings,
            self.house.clock,
            self.house.bell,
        )

    async def ask(self, *requests: Data, customer: str = "ann", historic: bool = False) -> None:
        """Publishes as journeys does."""
        rows = []
        for data in requests:
            self.numbers += 1
            one = event(self.numbers, customer, data, NOON, historic=historic)
            rows.append(outbox.row(REQUESTS.name, one))
        async with self.feed.acquire() as connection, connection.transaction():
            await outbox.write(connection, rows)
        self.house.bell.ring(REQUESTS.name)

    async def hear(self, *news: Data, customer: str = "ann") -> None:
        """Publishes as ingest does, and runs the road until it has decided that."""
        await self.happen(*news, customer=customer)
        await self.heard()

    async def happen(self, *news: Data, customer: str = "ann") -> None:
        """Publishes as ingest does."""
        self.numbers += len(news)
        rows = [
            outbox.row(INGEST_EVENTS.name, event(self.numbers - n, customer, data, NOON)) for n, data in enumerate(news)
        ]
        async with self.shop.acquire() as connection, connection.transaction():
            await outbox.write(connection, rows)
        self.house.bell.ring(INGEST_EVENTS.name)

    async def heard(self) -> None:
        """Runs the road until it has decided what ingest and notifier itself have told."""

        async def heard() -> bool:
            rest = await self.pool.fetchval(UNHEARD, INGEST_EVENTS.name, NOTIFIER_WORK.name)
            return int(rest) == 0

        await self.decide_until(heard)

    async def decide_until(self, reached: Callable[[], Awaitable[bool]]) -> None:
        """Runs the road alone, until so."""
        await self.run_until(reached, self.house.road(service(), self.pool).run)

    async def run_until(self, reached: Callable[[], Awaitable[bool]], *loops: Callable[[], Awaitable[None]]) -> None:
        """Runs loops of the service, until so."""

        async def forever(loop: Callable[[], Awaitable[None]]) -> None:
            await loop()

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(forever(loop)) for loop in loops]
            with self.house.bell.listen((DELIVERIES.name, NOTIFIER_WORK.name)) as rung:
                while not await reached():
                    await wait(rung, LOOK_AGAIN_S)
            for task in running:
                task.cancel()

    async def facts(self) -> list[Data]:
        """What notifier has stated, in order."""
        return [one.data for one in await self._said(DELIVERIES.name)]

    async def reports(self) -> list[Event[Data]]:
        """What its sender has reported, in order."""
        return await self._said(NOTIFIER_WORK.name)

    async def _said(self, topic: str) -> list[Event[Data]]:
        decoder = Decoder((*DELIVERIES.events, *NOTIFIER_WORK.events))
        rows = await self.pool.fetch("SELECT body FROM outbox WHERE topic = $1 ORDER BY xid, id", topic)
        decoded = [decoder.decode(row["body"]) for row in rows]
        return [one for one in decoded if isinstance(one, Event)]

    async def rows(self, columns: str, table: str = "messages") -> list[tuple[Any, ...]]:
        """Rows of a table, by message key."""
        return [tuple(row) for row in await self.pool.fetch(f"SELECT {columns} FROM {table} ORDER BY message_key")]

    async def waiting(self, count: int) -> None:
        """Decides until so many messages wait."""

        async def reached() -> bool:
            return int(await self.pool.fetchval("SELECT count(*) FROM messages WHERE status = 'pending'")) >= count

        await self.decide_until(reached)

    async def told(self, facts: int, *loops: Callable[[], Awaitable[None]]) -> list[Data]:
        """Runs the road, and other loops, until so many facts are stated."""

        async def reached() -> bool:
            return len(await self.facts()) >= facts

        await self.run_until(reached, self.house.road(service(), self.pool).run, *loops)
        return await self.facts()


def sms(key: str = "k1", **changes: Any) -> MessageRequested:
    """A payment reminder."""
    fields: dict[str, Any] = {
        "journey": "payment_reminder",
        "step": "1h",
        "channel": "sms",
        "purpose": "transactional",
        "template": "payment_reminder_1h",
        "params": ORDER,
    }
    return MessageRequested(key, **(fields | changes))


def gift(key: str = "k1", **changes: Any) -> MessageRequested:
    """A gift by e-mail."""
    fields: dict[str, Any] = {"journey": "gift_30d", "step": "gift", "channel": "email", "template": "gift_30d"}
    return sms(key, **(fields | {"purpose": "marketing"} | changes))


fresh_database = copied("ingest", "journeys", "notifier")


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    """A migrated database; journeys' schema holds the requests."""
    return Settings(
        database=re.sub("//[^@/]*@", "//", fresh_database),
        admin_database=fresh_database,
        internal_key=SecretStr(INTERNAL_KEY),
        sms_signature="小店",
        batch_max_messages=100,
        poll_ms=50,
    )


@pytest.fixture
async def notifier(settings: Settings) -> AsyncIterator[Notifier]:
    """The service, not running yet."""
    vault = Vault({"ann": {"phone": "+8613800131234", "email": "ann@example.com", "name": "安"}})
    transport = httpx.MockTransport(vault.answer)
    house = House(settings, FrozenClock(NOON), SHOPS, Bell())
    async with (
        open_pool(settings, "notifier") as pool,
        open_pool(settings, "journeys") as feed,
        open_pool(settings, "ingest") as shop,
        httpx.AsyncClient(transport=transport, base_url=settings.ingest_url) as client,
    ):
        yield Notifier(house, pool, feed, shop, vault, client)
