"""What webhooks missed is found by asking, once, whatever fails or is killed on the way, at both platforms."""

import asyncio
import hmac
import json
import signal
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from common.bus.bell import Bell
from common.db.engine import open_pool
from common.settings import Settings
from common.web.limits import Limits
from common.web.problems import unavailable
from ingest import sources
from ingest.classes.finding import Classes
from ingest.connectors.port import Delivery
from ingest.domain.review_topics import NO_KEYWORDS
from ingest.flusher import LANES, Flusher
from ingest.health import Health
from ingest.hooks import Hooks, Taken
from ingest.people.naming import Naming
from ingest.people.whose import Whose
from ingest.privacy.erasure import Eraser
from ingest.privacy.requests import Privacy
from ingest.reconcile.reconciler import Reconciler, Road
from ingest.sources import Rest, Source, Sources
from ingest.vault import Vault
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY, SHOPS, Keys, open_ingest
from tests.ingest.flushing import RULES, flusher_of
from tests.ingest.platforms import APP, CONSUMER, TOKEN, Platform, minutes, served
from tests.ingest.test_kill import LONG_S, ingest_process

T0 = datetime(2026, 3, 22, 12, 0, tzinfo=UTC)
KINDS = ("shopify", "woocommerce")
SECRET = "a-secret-of-the-shop"
PAUSE, LEASE = minutes(5), minutes(3)
# As it is asked for when three orders, ten minutes apart, are known: less the overlap, and the second left out.
AFTER_THREE = {"shopify": "12%3A25%3A00", "woocommerce": "12%3A24%3A59"}
FACTS = "SELECT convert_from(body, 'UTF8') FROM ingest.outbox WHERE topic = 'ingest.events.v1' AND key <> ''"


class SetClock:
    """Moved by the test."""

    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        return self.at


INDEX_KEY = b"i" * 32


class Stage:
    """Ingest without its routes and loops but the flusher's, a platform, and a source that asks it."""

    def __init__(self, pool: asyncpg.Pool, flusher: Flusher, platform: Platform, client: httpx.AsyncClient) -> None:
        self.pool, self.platform, self.clock, self.vault = (
            pool,
            platform,
            SetClock(),
            Vault(MASTER_KEY, index_key=INDEX_KEY),
        )
        whose = Whose(Naming(self.vault, RULES, SHOPS))
        privacy = Privacy(pool, self.vault, whose, Eraser(pool, self.vault, whose, self.clock, Bell()), self.clock)
        self.flusher, self.client, self.slept = flusher, client, list[float]()
        self.sources = Sources(pool, self.vault)
        keywords, limits = dict.fromkeys(SHOPS, NO_KEYWORDS), Limits(Settings(_env_file=None))
        self.hooks = Hooks(
            flusher,
            self.vault,
            self.sources,
            Health(pool),
            self.clock,
            SHOPS,
            keywords,
            limits,
            privacy,
            keeps_raw=False,
            classes=Classes.of(SHOPS),
        )
        self.source_id = ""

    async def add(self) -> None:
        """The source."""
        rest = Rest(url=self.platform.url, key=TOKEN if self.platform.kind == "shopify" else CONSUMER)
        async with self.pool.acquire() as connection:
            told = await sources.add(connection, self.vault, T0, "shop", self.platform.kind, "", {}, SECRET, rest)
        self.source_id = told.source_id

    def reconciler(self, road: Road | None = None) -> Reconciler:
        """One process's."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        return Reconciler(
            self.pool, self.vault, self.sources.find, road or self.hooks, self.clock, self.client, PAUSE, LEASE, sleep
        )

    async def poll(self, reconciler: Reconciler | None = None) -> None:
        """Everything that is due now."""
        reconciler = reconciler or self.reconciler()
        while await reconciler.step():
            pass

    async def webhook(self, body: dict[str, Any]) -> None:
        """What the platform sends by itself."""
        topic = {"shopify": "orders/updated", "woocommerce": "order.updated"}[self.platform.kind]
        header = {"shopify": "x-shopify-topic", "woocommerce": "x-wc-webhook-topic"}[self.platform.kind]
        source = await self.sources.find(self.source_id)
        assert source is not None
        await self.hooks.take(source, Delivery(json.dumps(body).encode(), {header: topic}))

    async def placed(self) -> Counter[str]:
        """How often each order was told as placed."""
        told = [json.loads(row[0]) for row in await self.pool.fetch(FACTS)]
        return Counter(event["data"]["order_id"] for event in told if event["type"] == "order.placed")

    async def shown(self, resource: str = "orders") -> sources.Polled:
        """What a person is shown of the poll."""
        async with self.pool.acquire() as connection:
            (listed,) = await sources.listed(connection, self.clock.now(), "shop", "", 10)
        return next(poll for poll in listed.polls if poll.resource == resource)

    def asked(self) -> list[str]:
        """The requests for orders since the last time."""
        asked = [target for target in self.platform.asked if "orders" in target]
        self.platform.asked.clear()
        return asked


@asynccontextmanager
async def staged(settings: Settings, kind: str, page_size: int = 3) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, "ingest"))
        platform = await stack.enter_async_context(served(Platform(kind, page_size)))
        client = await stack.enter_async_context(httpx.AsyncClient())
        flusher = flusher_of(pool, Vault(MASTER_KEY, index_key=INDEX_KEY), settings, SetClock())
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        lanes = [tasks.create_task(flusher.run()) for _ in range(LANES)]
        stage = Stage(pool, flusher, platform, client)
        await stage.add()
        yield stage
        for lane in lanes:
            lane.cancel()


@pytest.fixture(params=KINDS)
async def stage(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with staged(settings, request.param) as stage:
        yield stage


def filled(platform: Platform, count: int, every: timedelta = timedelta(seconds=20)) -> list[dict[str, Any]]:
    """Orders, one after the other from the source's first moment on."""
    return [platform.order(number, T0 + number * every) for number in range(1, count + 1)]


def once(count: int) -> Counter[str]:
    return Counter({str(number): 1 for number in range(1, count + 1)})


async def test_what_was_missed_is_found_once_over_many_pages(stage: Stage) -> None:
    orders = filled(stage.platform, 8)
    stage.clock.at = T0 + minutes(3)
    for order in orders[:3]:
        await stage.webhook(order)
    reconciler = stage.reconciler()
    await stage.poll(reconciler)
    assert await stage.placed() == once(8)
    shown = await stage.shown()
    per_order = 1 if stage.platform.kind == "woocommerce" else 2  # Shopify's bodies say how an order stands, too
    assert (shown.found, shown.fault, shown.failures) == (5 * per_order, None, 0)
    assert (shown.up_to, shown.polled_at, shown.due_at) == (
        T0 + timedelta(seconds=160),
        stage.clock.at,
        stage.clock.at + PAUSE,
    )
    assert len(stage.asked()) >= 3
    await stage.poll(reconciler)
    assert stage.asked() == []  # not due
    stage.clock.at += PAUSE
    await stage.webhook(stage.platform.order(9, stage.clock.at))
    await stage.poll(reconciler)
    assert await stage.placed() == once(9)
    assert (await stage.shown()).found == 5 * per_order


async def test_deliveries_at_the_same_time_as_the_poll(stage: Stage) -> None:
    orders = filled(stage.platform, 12)
    stage.clock.at = T0 + minutes(5)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.poll())
        for order in [*orders, *orders]:
            tasks.create_task(stage.webhook(order))
    assert await stage.placed() == once(12)


async def test_who_starts_anew_tells_nothing_twice(stage: Stage) -> None:
    filled(stage.platform, 8)
    for _ in range(3):
        stage.clock.at += PAUSE
        await stage.poll(stage.reconciler())
    assert await stage.placed() == once(8)


async def test_a_failure_in_the_middle_keeps_what_is_durable(stage: Stage) -> None:
    filled(stage.platform, 8, every=minutes(10))
    stage.clock.at = T0 + minutes(90)
    stage.platform.faults = [None, (500, {}, b"?")]
    await stage.poll()
    shown = await stage.shown()
    assert (shown.fault, shown.failures, shown.polled_at) == ("HTTP 500", 1, None)
    assert (await stage.placed(), shown.up_to) == (once(3), T0 + minutes(30))
    pause = (shown.due_at - stage.clock.at).total_seconds()
    assert 4 <= pause <= 5
    stage.asked()
    stage.clock.at = shown.due_at
    await stage.poll()
    shown = await stage.shown()
    assert (await stage.placed(), shown.failures, shown.fault) == (once(8), 0, None)
    assert AFTER_THREE[stage.platform.kind] in stage.asked()[0]


async def test_more_than_one_poll_reads_goes_on_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.reconcile.reconciler.MAX_PAGES", 2)
    filled(stage.platform, 14, every=minutes(10))
    stage.clock.at = T0 + minutes(200)
    reconciler, reached = stage.reconciler(), list[datetime]()
    assert await reconciler.step()
    while (shown := await stage.shown()).polled_at is None:
        assert (shown.failures, shown.fault, shown.due_at) == (0, None, stage.clock.at)
        reached.append(shown.up_to)
        assert await reconciler.step()  # this one, or the source's other
    assert T0 < reached[0] < reached[-1] < T0 + minutes(140)
    assert (await stage.placed(), shown.up_to) == (once(14), T0 + minutes(140))
    assert (shown.failures, shown.polled_at, shown.due_at) == (0, stage.clock.at, stage.clock.at + PAUSE)


async def test_a_poll_that_comes_no_further_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would begin with the same pages for ever, and at once."""
    monkeypatch.setattr("ingest.reconcile.reconciler.MAX_PAGES", 1)
    filled(stage.platform, 8, every=timedelta(0))
    stage.clock.at = T0 + minutes(5)
    assert await stage.reconciler().step()
    shown = await stage.shown()
    assert (shown.failures, shown.up_to) == (1, T0)
    assert shown.fault == "more changes than one poll reads, in no order: it comes no further"


async def test_a_platform_that_is_away_is_asked_ever_less_often(stage: Stage) -> None:
    stage.platform.url, url = "http://127.0.0.1:9", stage.platform.url  # nobody listens there
    async with stage.pool.acquire() as connection:
        rest = Rest(url=stage.platform.url, key=TOKEN if stage.platform.kind == "shopify" else CONSUMER)
        assert await sources.ask(connection, stage.vault, T0, "shop", stage.source_id, rest)
    pauses, shown = [], await stage.shown()
    for _ in range(12):
        await stage.poll()
        shown = await stage.shown()
        pauses.append((shown.due_at - stage.clock.at).total_seconds())
        stage.clock.at = shown.due_at + minutes(1)
    assert shown.fault == "no answer: ConnectError"
    assert pauses[0] <= 5 < pauses[2] < pauses[4] < pauses[-1] <= 900
    async with stage.pool.acquire() as connection:  # it moved: what is asked now begins where it came to
        rest = rest.model_copy(update={"url": url})
        assert await sources.ask(connection, stage.vault, stage.clock.at, "shop", stage.source_id, rest)
    filled(stage.platform, 2)
    await stage.poll()
    assert await stage.placed() == once(2)


async def test_too_many_requests(stage: Stage) -> None:
    filled(stage.platform, 2)
    stage.clock.at = T0 + minutes(5)
    stage.platform.faults = [(429, {"Retry-After": "2.0"}, b""), (429, {}, b"")]
    await stage.poll()
    assert stage.slept[:2] == [2.0, 2.0]
    assert await stage.placed() == once(2)
    stage.clock.at += PAUSE
    stage.platform.faults = [(429, {"Retry-After": "3600"}, b"")]
    await stage.poll()
    shown = await stage.shown()
    assert (shown.due_at - stage.clock.at, shown.fault) == (timedelta(hours=1), "asked us to come again later")


async def test_an_apps_client_id_and_secret_become_a_token(settings: Settings) -> None:
    async with staged(settings, "shopify") as stage:
        filled(stage.platform, 8)
        async with stage.pool.acquire() as connection:
            access = Rest(url=stage.platform.url, key=APP)
            assert await sources.ask(connection, stage.vault, T0, "shop", stage.source_id, access)
        stage.clock.at = T0 + minutes(5)
        await stage.poll()
        assert await stage.placed() == once(8)
        (form, *_) = [form for form in stage.platform.forms if form]
        assert form == b"grant_type=client_credentials&client_id=client-id&client_secret=shpss_0123456789"
        stage.clock.at += PAUSE
        stage.platform.faults = [(200, {}, b'{"error": "x"}')]
        await stage.poll()
        assert (await stage.shown()).fault == "expected an access token"


async def test_a_bucket_that_fills_is_left_to_leak(settings: Settings) -> None:
    async with staged(settings, "shopify") as stage:
        stage.platform.faults = [(200, {"X-Shopify-Shop-Api-Call-Limit": "38/40"}, b'{"orders": []}')]
        await stage.poll()
        assert stage.slept == [3.0]  # six above 32, two a second


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((401, {}, b"{}"), "HTTP 401"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "HTTP 302"),
        ((200, {}, b"<html>"), "expected a list of orders"),
        ((200, {}, b'{"errors": "x"}'), "expected a list of orders"),
        (
            (200, {"Link": '<http://169.254.169.254/x>; rel="next"'}, b'{"orders": []}'),
            "the next page was named at another address than the shop's",
        ),
        ((200, {}, b'{"orders": [{"no": 1}]}'), "expected objects with an id"),
    ],
)
async def test_an_answer_that_is_none(settings: Settings, answer: Any, fault: str) -> None:
    async with staged(settings, "shopify") as stage:
        stage.platform.faults = [answer]
        await stage.poll()
        shown = await stage.shown()
        assert (shown.fault, shown.polled_at) == (fault, None)


class Gate:
    """Holds a request back until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


async def test_who_is_killed_leaves_the_rest_to_another(stage: Stage) -> None:
    filled(stage.platform, 8, every=minutes(10))
    stage.clock.at = T0 + minutes(90)
    gate = Gate()
    stage.platform.faults = [None, gate]
    first = stage.reconciler()
    async with asyncio.TaskGroup() as tasks:
        killed = tasks.create_task(first.step())
        await gate.reached.wait()
        killed.cancel()
    gate.opened.set()
    assert await stage.placed() == once(3)
    another = stage.reconciler()
    await stage.poll(another)
    assert await stage.placed() == once(3)  # it is still the other's
    stage.clock.at += LEASE
    stage.asked()
    await stage.poll(another)
    assert await stage.placed() == once(8)
    assert AFTER_THREE[stage.platform.kind] in stage.asked()[0]


async def test_one_at_a_time(stage: Stage) -> None:
    filled(stage.platform, 8)
    stage.clock.at = T0 + minutes(5)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(stage.poll(stage.reconciler()))
    asked = stage.asked()
    assert len(asked) == len(set(asked)) >= 3
    assert await stage.placed() == once(8)


async def test_who_was_overtaken_moves_nothing(stage: Stage) -> None:
    filled(stage.platform, 4)
    stage.clock.at = T0 + minutes(5)
    gate = Gate()
    stage.platform.faults = [gate]
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(stage.reconciler().step())
        await gate.reached.wait()
        stage.clock.at += LEASE
        await stage.poll()
        after = await stage.shown()
        stage.clock.at += minutes(1)
        gate.opened.set()
        assert await slow
    assert await stage.shown() == after
    assert await stage.placed() == once(4)


async def test_a_change_while_pages_are_read_hides_no_other(stage: Stage) -> None:
    """The first order moves to the end: all behind it move up by one, across the border of two pages."""
    filled(stage.platform, 7)
    stage.clock.at = T0 + minutes(20)

    async def change() -> None:
        stage.platform.order(1, T0 + minutes(10))

    stage.platform.faults = [None, change]
    await stage.poll()
    assert await stage.placed() == once(7)


async def test_a_change_that_is_shown_late_is_found(stage: Stage) -> None:
    """With a time before that of one which is known."""
    stage.platform.order(1, T0 + minutes(9))
    stage.clock.at = T0 + minutes(10)
    await stage.poll()
    stage.platform.order(2, T0 + minutes(5))
    stage.clock.at += PAUSE
    await stage.poll()
    assert await stage.placed() == once(2)


async def test_the_cursor_waits_for_the_end_where_changes_come_in_no_order(settings: Settings) -> None:
    async with staged(settings, "shopify", page_size=250) as stage:
        filled(stage.platform, 8, every=minutes(10))
        stage.clock.at = T0 + minutes(90)
        newest_first = sorted(stage.platform.orders.values(), key=lambda row: -row["id"])
        link = f'<{stage.platform.url}/admin/api/x/orders.json?page_info=2>; rel="next"'
        stage.platform.faults = [
            (200, {"Link": link}, json.dumps({"orders": newest_first[:3]}).encode()),
            (500, {}, b""),
        ]
        await stage.poll()
        shown = await stage.shown()
        assert (shown.fault, shown.up_to) == ("HTTP 500", T0)
        stage.clock.at = shown.due_at
        await stage.poll()
        assert await stage.placed() == once(8)


async def test_more_changes_in_one_second_than_a_page_holds(stage: Stage) -> None:
    for number in range(1, 9):
        stage.platform.order(number, T0 + minutes(1))
    stage.platform.order(9, T0 + minutes(2))
    stage.clock.at = T0 + minutes(5)
    await stage.poll()
    assert await stage.placed() == once(9)


async def test_what_cannot_be_converted_is_kept_once_however_often_it_is_found(stage: Stage) -> None:
    filled(stage.platform, 2)
    stage.platform.order(3, T0 + minutes(1), total_price="?", total="?")
    reconciler = stage.reconciler()
    for _ in range(3):
        stage.clock.at += PAUSE
        await stage.poll(reconciler)
    assert await stage.placed() == once(2)
    assert await stage.pool.fetchval("SELECT count(*) FROM ingest.dead_letters") == 1


async def test_the_cursor_waits_for_what_is_not_durable(stage: Stage) -> None:
    class Away:
        """A database that goes away once."""

        def __init__(self, hooks: Hooks) -> None:
            self.hooks, self.left = hooks, 4

        async def take(self, source: Source, delivery: Delivery, polled: bool = False) -> Taken:
            self.left -= 1
            if self.left == 0:
                raise unavailable("the database does not answer")
            return await self.hooks.take(source, delivery, polled)

    filled(stage.platform, 8, every=minutes(10))
    stage.clock.at = T0 + minutes(90)
    reconciler = stage.reconciler(Away(stage.hooks))
    await stage.poll(reconciler)
    shown = await stage.shown()
    assert (shown.up_to, shown.fault) == (T0 + minutes(30), "the database does not answer")
    stage.clock.at = shown.due_at
    await stage.poll(reconciler)
    assert await stage.placed() == once(8)


async def test_customers_made_since_are_new_and_others_changed(settings: Settings) -> None:
    async with staged(settings, "shopify") as stage:
        for number, made in ((1, T0 - minutes(60 * 24)), (2, T0 + minutes(1))):
            at = T0 + minutes(2)
            stage.platform.customers[number] = {
                "id": number, "created_at": made.isoformat(), "updated_at": at.isoformat(),
                "email": f"{number}@example.com",
            }  # fmt: skip
        stage.clock.at = T0 + minutes(5)
        await stage.poll()
        told = [json.loads(row[0]) for row in await stage.pool.fetch(FACTS)]
        kinds = Counter(event["type"] for event in told)
        assert (kinds["customer.registered"], kinds["customer.updated"]) == (1, 1)
        assert (await stage.shown("customers")).found == 2


async def test_what_is_asked_for_is_no_delivery(stage: Stage) -> None:
    """Else nobody would see that webhooks have stopped."""
    filled(stage.platform, 2)
    stage.clock.at = T0 + minutes(5)
    await stage.poll()
    async with stage.pool.acquire() as connection:
        (listed,) = await sources.listed(connection, stage.clock.now() + minutes(1), "shop", "", 10)
    assert (listed.last_delivery_at, listed.accepted) == (None, 0)
    assert listed.lag_s == 60


async def test_a_source_that_is_removed_is_asked_no_more(stage: Stage) -> None:
    filled(stage.platform, 2)
    async with stage.pool.acquire() as connection:
        assert await sources.remove(connection, "shop", stage.source_id)
    await stage.poll()
    assert stage.asked() == []
    assert await stage.pool.fetchval("SELECT count(*) FROM ingest.source_secrets") == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_the_whole_service_with_webhooks_and_polls(settings: Settings, keys: Keys, kind: str) -> None:
    """Through its real routes and loops: some orders come by webhook, some twice, some not at all."""
    started = datetime.now(UTC) - minutes(1)
    async with served(Platform(kind)) as platform, open_ingest(settings) as here:
        rest = {"url": platform.url, "key": TOKEN if kind == "shopify" else CONSUMER}
        asked = {"kind": kind, "secret": SECRET, "rest": rest}
        for number in range(1, 9):
            platform.order(number, started + timedelta(seconds=number))
        answer = await here.client.post("/v1/sources", json=asked, headers=keys["operator"])
        assert answer.status_code == 201, answer.text
        address = answer.json()["path"]
        prefix, topic = ("X-Shopify-", "orders/updated") if kind == "shopify" else ("X-WC-Webhook-", "order.updated")
        for number in (2, 4, 4, 6):
            body = json.dumps(platform.orders[number]).encode()
            mac = b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
            signature = "Hmac-Sha256" if kind == "shopify" else "Signature"
            headers = {prefix + signature: mac, f"{prefix}Topic": topic}
            assert (await here.client.post(address, content=body, headers=headers)).status_code == 200

        async def is_known() -> bool:
            told = [json.loads(row[0]) for row in await here.pool.fetch(FACTS)]
            placed = Counter(event["data"]["order_id"] for event in told if event["type"] == "order.placed")
            assert not placed or max(placed.values()) == 1
            return placed == once(8)

        await until(is_known, "all orders")


async def test_a_process_that_is_killed_in_the_middle_of_a_poll(
    settings: Settings, admin: asyncpg.Connection, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    gate = Gate()
    async with served(Platform("woocommerce")) as platform:
        for number in range(1, 9):
            platform.order(number, now + number * timedelta(seconds=1))
        platform.faults = [None, gate]
        async with pool.acquire() as connection:
            access = Rest(url=platform.url, key=CONSUMER, since=now)
            await sources.add(
                connection, Vault(MASTER_KEY, index_key=INDEX_KEY), now, "demo", "woocommerce", "", {}, None, access
            )

        async def placed() -> Counter[str]:
            told = [json.loads(row[0]) for row in await pool.fetch(FACTS)]
            return Counter(event["data"]["order_id"] for event in told if event["type"] == "order.placed")

        async def is_complete() -> bool:
            return await placed() == once(8)

        async with ingest_process(settings, tmp_path / "ingest.log") as process:
            async with asyncio.timeout(LONG_S):
                await gate.reached.wait()
            process.send(signal.SIGKILL)
            assert await process.stop() == -signal.SIGKILL
            assert await placed() == once(3)
            gate.opened.set()
            await admin.execute("UPDATE ingest.polls SET due_at = now()")  # as if the claim of the dead were over
            process.start()
            await process.ready()
            await until(is_complete, "all orders")
            assert await process.stop() == 0
