"""The vault in its tables: what is put is got, nobody else's, by nobody else; and gone with its key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag

from common.settings import Settings
from ingest.domain.accept import Personal
from ingest.vault import Key, Vault, names_of, part_of
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY

ANN: Key = ("shop", "ann")
BOB: Key = ("shop", "bob")
ANN_ELSEWHERE: Key = ("other", "ann")
FIELDS = ("phone", "email", "name", "address")
WHOLE = Personal("+8613800138000", "ann@example.com", "王小芳", "文三路 90 号\n3 幢", "口罩很好\n还会再来")
COPY_SEALED = """
UPDATE vault v SET sealed = s.sealed FROM vault s
WHERE (v.shop_id, v.customer_id, v.field) = ($1, $2, $3) AND (s.shop_id, s.customer_id, s.field) = ($4, $5, $6)
"""
COPY_KEY = """
UPDATE vault_keys v SET wrapped_key = s.wrapped_key FROM vault_keys s
WHERE (v.shop_id, v.customer_id) = ($1, $2) AND (s.shop_id, s.customer_id) = ($3, $4)
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
async def vault(pool: asyncpg.Pool) -> Vault:
    return await opened(pool, Vault(MASTER_KEY))


async def opened(pool: asyncpg.Pool, vault: Vault) -> Vault:
    async with pool.acquire() as connection:
        await vault.check(connection)
    return vault


@asynccontextmanager
async def transaction(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
    async with pool.acquire() as connection, connection.transaction():
        yield connection


async def test_what_is_put_is_got(pool: asyncpg.Pool, vault: Vault) -> None:
    async with transaction(pool) as connection:
        await vault.put(connection, [(ANN, ("api", "e1"), WHOLE), (BOB, ("api", "e2"), Personal(name="Bob"))])
        await vault.put(connection, [(ANN_ELSEWHERE, ("api", "e1"), Personal(phone="+55119"))])
    async with transaction(pool) as connection:
        expected = {
            "phone": "+8613800138000",
            "email": "ann@example.com",
            "name": "王小芳",
            "address": "文三路 90 号\n3 幢",
        }
        assert await vault.get(connection, "shop", ["ann", "bob", "eve"], FIELDS) == {
            "ann": expected,
            "bob": {"name": "Bob"},
        }
        assert await vault.get(connection, "shop", ["ann"], ["email"]) == {"ann": {"email": "ann@example.com"}}
        assert await vault.get(connection, "other", ["ann", "bob"], FIELDS) == {"ann": {"phone": "+55119"}}
        assert await vault.get(connection, "nowhere", ["ann"], FIELDS) == {}
        reviews = await vault.get(connection, "shop", ["ann"], ["review_text:api e1"])
        assert reviews == {"ann": {"review_text:api e1": "口罩很好\n还会再来"}}


async def test_what_comes_later_replaces_and_what_is_absent_stays(pool: asyncpg.Pool, vault: Vault) -> None:
    async with transaction(pool) as connection:
        await vault.put(
            connection,
            [(ANN, ("api", "e1"), Personal(phone="1", name="Ann")), (ANN, ("api", "e2"), Personal(phone="2"))],
        )
        await vault.put(connection, [(ANN, ("api", "e3"), Personal(phone="3", review_text="a"))])
        await vault.put(connection, [(ANN, ("api", "e4"), Personal(review_text="b"))])
        every = [*FIELDS, "review_text:api e3", "review_text:api e4"]
        found = await vault.get(connection, "shop", ["ann"], every)
    assert found == {"ann": {"phone": "3", "name": "Ann", "review_text:api e3": "a", "review_text:api e4": "b"}}


async def test_what_is_an_events_own_is_kept_for_each_source(pool: asyncpg.Pool, vault: Vault) -> None:
    async with transaction(pool) as connection:
        texts = {"api": "a", "till": "b"}
        for source, text in texts.items():
            await vault.put(connection, [(ANN, (source, "e:1"), Personal(phone=text, review_text=text))])
        found = (await vault.get(connection, "shop", ["ann"], None))["ann"]
    assert found == {"phone": "b", "review_text:api e:1": "a", "review_text:till e:1": "b"}
    assert [part_of(name) for name in sorted(found)] == [
        ("phone", "", ""),
        ("review_text", "api", "e:1"),
        ("review_text", "till", "e:1"),
    ]
    for name in names_of("review_text", ("src:1", "e:1")):  # as it is now, and as it was before it held the source
        assert part_of(name) in (("review_text", "src:1", "e:1"), ("review_text", "", "e:1"))


async def test_a_value_opens_in_its_own_place_only(pool: asyncpg.Pool, vault: Vault) -> None:
    everybody = [(key, ("api", "e1"), WHOLE) for key in (ANN, BOB, ANN_ELSEWHERE)]
    moves = [((*BOB, "phone"), (*ANN, "phone")), ((*BOB, "phone"), (*BOB, "name"))]
    moves += [((*ANN_ELSEWHERE, "phone"), (*ANN, "phone")), ((*ANN, "review_text:api e1"), (*ANN, "name"))]
    async with transaction(pool) as connection:
        await vault.put(connection, everybody)
        for to, source in moves:
            assert await connection.execute(COPY_SEALED, *to, *source) == "UPDATE 1"
            with pytest.raises(InvalidTag):
                await vault.get(connection, to[0], [to[1]], [to[2]])
        # Nor does it together with the key of where it came from.
        await connection.execute(COPY_SEALED, *ANN, "email", *BOB, "email")
        assert await connection.execute(COPY_KEY, *ANN, *BOB) == "UPDATE 1"
        with pytest.raises(InvalidTag):
            await vault.get(connection, "shop", ["ann"], ["email"])


async def test_nothing_opens_with_another_master_key(pool: asyncpg.Pool, vault: Vault) -> None:
    other = Vault(b"o" * 32)
    async with transaction(pool) as connection:
        await vault.put(connection, [(ANN, ("api", "e1"), WHOLE)])
        with pytest.raises(InvalidTag):
            await other.get(connection, "shop", ["ann"], ["name"])
        with pytest.raises(InvalidTag):
            await other.put(connection, [(ANN, ("api", "e2"), Personal(name="Ann"))])
        with pytest.raises(ValueError, match="not the key that this database's vault was begun with"):
            await other.check(connection)
        await vault.check(connection)


async def test_without_its_key_a_person_is_forgotten(pool: asyncpg.Pool, vault: Vault) -> None:
    async with transaction(pool) as connection:
        await vault.put(connection, [(ANN, ("api", "e1"), WHOLE), (BOB, ("api", "e1"), WHOLE)])
        kept = await connection.fetch("SELECT field, sealed FROM vault WHERE customer_id = 'ann'")  # as in a backup
        await connection.execute("DELETE FROM vault_keys WHERE (shop_id, customer_id) = ('shop', 'ann')")
        assert await vault.get(connection, "shop", ["ann"], FIELDS) == {}
        assert await connection.fetchval("SELECT count(*) FROM vault WHERE customer_id = 'ann'") == 0
        assert set(await vault.get(connection, "shop", ["bob"], FIELDS)) == {"bob"}
        # She comes back as somebody new: a new key, which does not open what a backup kept.
        await vault.put(connection, [(ANN, ("api", "e9"), Personal(name="Ann"))])
        rows = [(*ANN, row["field"], row["sealed"]) for row in kept if row["field"] != "name"]
        await connection.executemany(
            "INSERT INTO vault (shop_id, customer_id, field, sealed) VALUES ($1, $2, $3, $4)", rows
        )
        assert await vault.get(connection, "shop", ["ann"], ["name"]) == {"ann": {"name": "Ann"}}
        for field in ("phone", "email", "address", "review_text:api e1"):
            with pytest.raises(InvalidTag):
                await vault.get(connection, "shop", ["ann"], [field])


async def test_two_processes_make_one_key(pool: asyncpg.Pool, vault: Vault, settings: Settings) -> None:
    """While one has made a customer's key and not committed, the other waits, and seals with that one."""
    async with asyncio.TaskGroup() as tasks:
        async with transaction(pool) as first:
            await vault.put(first, [(ANN, ("api", "e1"), Personal(phone="1"))])

            async def put_second() -> None:
                async with transaction(pool) as second:
                    await (await opened(pool, Vault(MASTER_KEY))).put(
                        second, [(ANN, ("api", "e2"), Personal(email="2")), (BOB, ("api", "e2"), Personal(email="3"))]
                    )

            putting = tasks.create_task(put_second())

            async def second_waits() -> bool:
                return bool(await first.fetchval(WAITING))

            await until(second_waits, "the second waits for the first")
        await putting
    async with transaction(pool) as connection:
        found = await vault.get(connection, "shop", ["ann", "bob"], FIELDS)
        assert await connection.fetchval("SELECT count(*) FROM vault_keys") == 2
    assert found == {"ann": {"phone": "1", "email": "2"}, "bob": {"email": "3"}}


async def test_nothing_is_readable_in_its_tables(pool: asyncpg.Pool, vault: Vault) -> None:
    async with transaction(pool) as connection:
        await vault.put(connection, [(ANN, ("api", "e1"), WHOLE), (BOB, ("api", "e1"), WHOLE)])
        rows = [*await connection.fetch("SELECT * FROM vault"), *await connection.fetch("SELECT * FROM vault_keys")]
        cells = [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row.values()]
    for value in (WHOLE.phone, WHOLE.email, WHOLE.name, WHOLE.address, WHOLE.review_text):
        assert value is not None
        assert not [cell for cell in cells if value.encode() in cell]
    # Sealed twice, the same value looks different each time.
    sealed = [row["sealed"] for row in rows if "sealed" in row]
    assert len(sealed) == len(set(sealed)) == 10
