"""API keys in a real database: what is kept of them, and who is found by them."""

from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import pytest

from common.web.auth import ACCESS_DDL, KEY, SCOPES, Caller, KeyRing, create_key


@pytest.fixture
async def pool(fresh_database: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(fresh_database, min_size=1, max_size=2) as pool:
        await pool.execute(ACCESS_DDL)
        yield pool


async def test_the_tables_can_be_made_again(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await create_key(connection, "demo", ["read"])
    await pool.execute(ACCESS_DDL)
    assert await pool.fetchval("SELECT count(*) FROM access.api_keys") == 1


async def test_a_key_opens_its_own_shop_and_no_other(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        demo = await create_key(connection, "demo", ["read", "ingest", "read"])
        olist = await create_key(connection, "olist", ["admin"])
    ring = KeyRing(pool)
    assert await ring.caller(demo) == Caller("demo", frozenset(("ingest", "read")), demo[3:11])
    assert await ring.caller(olist) == Caller("olist", frozenset(("admin",)), olist[3:11])
    assert await ring.caller(demo[:-1] + ("A" if demo[-1] != "A" else "B")) is None


async def test_of_a_key_only_its_id_and_hash_are_kept(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        key = await create_key(connection, "demo", SCOPES)
    assert KEY.fullmatch(key)
    row = await pool.fetchrow("SELECT * FROM access.api_keys")
    assert row is not None
    assert (row["key_hash"], row["key_id"], row["shop_id"]) == (sha256(key.encode()).digest(), key[3:11], "demo")
    assert row["scopes"] == ["admin", "ingest", "internal", "operate", "read"]
    assert row["revoked_at"] is None
    assert key[12:] not in str(dict(row))


async def test_keys_differ(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        keys = {await create_key(connection, "demo", ["read"]) for _ in range(50)}
    assert len(keys) == 50


async def test_a_revoked_key_ends_when_it_is_looked_up_again(pool: asyncpg.Pool) -> None:
    now_s = 0.0
    async with pool.acquire() as connection:
        key = await create_key(connection, "demo", ["read"])
    ring = KeyRing(pool, monotonic=lambda: now_s)
    assert await ring.caller(key) is not None
    await pool.execute("UPDATE access.api_keys SET revoked_at = now() WHERE key_id = $1", key[3:11])
    now_s = 30.0
    assert await ring.caller(key) is None


@pytest.mark.parametrize("scopes", [[], ["read", "everything"]])
async def test_a_key_without_a_known_scope_is_not_made(pool: asyncpg.Pool, scopes: list[str]) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(ValueError, match="expected some of"):
            await create_key(connection, "demo", scopes)
    assert await pool.fetchval("SELECT count(*) FROM access.api_keys") == 0
