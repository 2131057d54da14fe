"""The mailbox page: the key's way into the cookie, and that nothing in a letter is taken for markup."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from notifier import store
from notifier.page import page
from tests.notifier.conftest import SHOPS, Notifier

EVENING = datetime(2026, 5, 1, 20, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Keys:
    """Keys of callers, and headers with them."""

    shop_key: str
    other_key: str
    ingest_key: str

    @property
    def shop(self) -> dict[str, str]:
        return {"X-API-Key": self.shop_key}

    @property
    def other(self) -> dict[str, str]:
        return {"X-API-Key": self.other_key}

    @property
    def ingest(self) -> dict[str, str]:
        return {"X-API-Key": self.ingest_key}

    @staticmethod
    def ring(pool: asyncpg.Pool) -> KeyRing:
        return KeyRing(pool)


async def keys_of(database: str) -> Keys:
    """One that reads each shop, one that may only ingest."""
    admin = await asyncpg.connect(database)
    try:
        return Keys(
            await create_key(admin, "shop", ["read"]),
            await create_key(admin, "other", ["read"]),
            await create_key(admin, "shop", ["ingest"]),
        )
    finally:
        await admin.close()


@pytest.fixture
async def keys(notifier: Notifier, fresh_database: str) -> Keys:
    """Made once the tables are there."""
    return await keys_of(fresh_database)


@pytest.fixture
async def client(notifier: Notifier) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without cookies."""
    app = create_app("test", [page(notifier.pool, SHOPS)], {}, 10_000)
    app.state.key_ring = KeyRing(notifier.pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


async def keep(notifier: Notifier, *letters: store.Kept) -> None:
    async with notifier.pool.acquire() as connection:
        await store.keep(connection, letters)


async def test_without_a_key_there_is_a_form(client: httpx.AsyncClient) -> None:
    answer = await client.get("/mailbox")
    assert answer.status_code == 401
    assert '<form method="post" action="/mailbox">' in answer.text
    assert "article" not in answer.text.partition("<body>")[2]


async def test_the_key_leaves_the_address_bar(client: httpx.AsyncClient, keys: Keys) -> None:
    answer = await client.get(f"/mailbox?key={keys.shop_key}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/mailbox")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"regulars_mailbox={keys.shop_key};")
    assert {"HttpOnly", "Path=/mailbox", "SameSite=strict"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert (await client.get("/mailbox")).status_code == 200


async def test_the_form_lets_in_too(client: httpx.AsyncClient, keys: Keys) -> None:
    answer = await client.post("/mailbox", data={"key": f" {keys.shop_key} "})
    assert answer.status_code == 303
    assert keys.shop_key not in answer.headers["location"]
    assert (await client.get("/mailbox")).status_code == 200


async def test_behind_tls_the_cookie_is_for_tls_alone(client: httpx.AsyncClient, keys: Keys) -> None:
    answer = await client.get(f"https://test/mailbox?key={keys.shop_key}")
    assert "Secure" in answer.headers["set-cookie"].split("; ")


@pytest.mark.parametrize("key", ["", "rk_00000000_" + "x" * 43, "<script>"])
async def test_a_wrong_key_is_asked_for_again(client: httpx.AsyncClient, key: str) -> None:
    for answer in (await client.get("/mailbox", params={"key": key}), await client.post("/mailbox", data={"key": key})):
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "<script>" not in answer.text


async def test_a_key_that_may_not_read_stays_outside(client: httpx.AsyncClient, keys: Keys) -> None:
    assert (await client.get(f"/mailbox?key={keys.ingest_key}")).status_code == 401
    client.cookies.set("regulars_mailbox", keys.ingest_key)
    assert (await client.get("/mailbox")).status_code == 401


async def test_everything_in_a_letter_is_escaped(client: httpx.AsyncClient, keys: Keys, notifier: Notifier) -> None:
    evil = "<script>alert('1')</script>\"&"
    await keep(notifier, ("shop", evil, evil, "email", evil, evil, evil, EVENING))
    await client.get(f"/mailbox?key={keys.shop_key}")
    answer = await client.get("/mailbox")
    assert answer.text.count("&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;") == 5
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "src=" not in answer.text
    assert "http" not in answer.text


async def test_the_page_shows_the_shops_own_letters(client: httpx.AsyncClient, keys: Keys, notifier: Notifier) -> None:
    await keep(
        notifier,
        ("shop", "k1", "ann", "sms", "138****1234", None, "【小店】" + "您" * 67, EVENING),
        ("other", "k2", "bob", "email", "b***@example.com", "Gift", "Hello", EVENING),
    )
    await client.get(f"/mailbox?key={keys.shop_key}")
    page_of_shop = (await client.get("/mailbox")).text
    assert "2026-05-02 04:30:00" in page_of_shop  # in Shanghai
    assert "UCS-2 · 71 字 · 2 条" in page_of_shop
    assert "138****1234" in page_of_shop
    assert "b***@example.com" not in page_of_shop
    await client.get(f"/mailbox?key={keys.other_key}")
    page_of_other = (await client.get("/mailbox")).text
    assert "2026-05-01 17:30:00" in page_of_other  # in Sao Paulo
    assert "138****1234" not in page_of_other


async def test_older_letters_are_a_link_away(client: httpx.AsyncClient, keys: Keys, notifier: Notifier) -> None:
    await keep(
        notifier, *(("other", f"k{n:02}", "bob", "sms", "****", None, f"text {n:02}.", EVENING) for n in range(51))
    )
    await client.get(f"/mailbox?key={keys.other_key}")
    newest = (await client.get("/mailbox")).text
    assert newest.count("<article>") == 50
    assert newest.index("text 50.") < newest.index("text 01.")
    link = newest.partition('<a href="')[2].partition('"')[0]
    oldest = (await client.get(link)).text
    assert oldest.count("<article>") == 1
    assert "text 00." in oldest
    assert "Older" not in oldest
