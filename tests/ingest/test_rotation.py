"""Another master key while the system runs: all stays readable and findable, and the old key can be taken away."""

import asyncio
import hmac
import json
from base64 import b64encode
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from common.db.engine import Connection
from common.settings import Settings, load_settings
from ingest import rotation
from ingest.sealing import MARK, open_, place_of, seal
from ingest.vault import Vault
from regulars.home import Home
from regulars.verbs import vault as command
from tests.ingest.conftest import MASTER_KEY, Ingest, Keys, open_ingest, visit
from tests.ingest.test_hooks import QUERY, TRACK, call, track

NEXT_KEY, THIRD_KEY = b"n" * 32, b"t" * 32
PEOPLE = 60
CHUNK = 7  # so that there are many
SECRET = "a-secret-of-the-shop"


def text(*keys: bytes) -> SecretStr:
    return SecretStr(",".join(b64encode(key).decode() for key in keys))


def with_keys(settings: Settings, present: bytes, *old: bytes) -> Settings:
    return settings.model_copy(update={"vault_key": text(present), "vault_old_keys": text(*old) if old else None})


async def assert_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match="REGULARS_VAULT_KEY is not the key that this database's vault was begun with"):
        async with open_ingest(settings):
            pass


async def contacts(here: Ingest, keys: Keys, count: int) -> dict[str, Any]:
    wanted = {"shop_id": "shop", "customer_ids": [f"c{n}" for n in range(count)], "fields": ["phone"]}
    answer = await here.client.post("/internal/vault/contacts", json=wanted, headers=keys["house"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def tell(here: Ingest, keys: Keys, *numbers: int) -> None:
    events = [visit(f"e{n}", f"c{n}", personal={"phone": f"+861380013{n:04}"}) for n in numbers]
    answer = await here.client.post("/v1/events", json=events, headers=keys["sender"])
    assert answer.status_code == 202, answer.text


async def marks(connection: Connection) -> set[bytes]:
    found = set()
    for each in rotation.EVERYTHING:
        found |= {bytes(mark) for (mark,) in await connection.fetch(each.sql(rotation.MARKS))}
    return found


async def test_rotation_under_traffic(
    settings: Settings, keys: Keys, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "CHUNK_ROWS", CHUNK)
    first = with_keys(settings, MASTER_KEY)
    async with open_ingest(first) as here:
        made = await here.client.post(
            "/v1/sources", json={"kind": "kuaidi100", "secret": SECRET}, headers=keys["operator"]
        )
        source_id = made.json()["source_id"]
        await tell(here, keys, *range(PEOPLE))
        await call(here, source_id, "kuaidi100", track(TRACK), query={"order": "o1"})  # nobody's: a pseudonym
        assert (await here.client.post("/v1/events", json={"id": 1}, headers=keys["sender"])).status_code == 422
    before = Vault(MASTER_KEY)
    async with pool.acquire() as connection:
        await before.check(connection)
        assert len(await marks(connection)) == 1
    await assert_refused(with_keys(settings, NEXT_KEY))

    async with open_ingest(with_keys(settings, NEXT_KEY, MASTER_KEY)) as here:
        vault = Vault(NEXT_KEY, [MASTER_KEY])
        stop = asyncio.Event()
        told = list(range(PEOPLE))

        async def traffic() -> None:
            while not stop.is_set():
                told.append(len(told))
                await tell(here, keys, told[-1], told[len(told) % PEOPLE])
                await call(here, source_id, "kuaidi100", track(TRACK[: 1 + len(told) % 4]), query=QUERY)

        async with asyncio.TaskGroup() as tasks, pool.acquire() as connection:
            tasks.create_task(traffic())
            await vault.check(connection)
            async with aclosing(rotation.rewrap(connection, vault.masters)) as chunks:
                async for chunk in chunks:  # cut off after the first
                    assert chunk == rotation.Chunk("vault_keys", CHUNK, 0)
                    break
            assert sum((await rotation.left(connection, vault.masters)).values()) > PEOPLE - CHUNK
            resealed = [chunk.resealed async for chunk in rotation.rewrap(connection, vault.masters)]
            assert len(resealed) > PEOPLE // CHUNK
            assert max(resealed) <= CHUNK
            stop.set()
        async with pool.acquire() as connection:
            assert set((await rotation.left(connection, vault.masters)).values()) == {0}
        assert len(await contacts(here, keys, len(told))) == len(told) > PEOPLE

    async with open_ingest(with_keys(settings, NEXT_KEY)) as here:
        assert len(await contacts(here, keys, len(told))) == len(told)
        again = await call(here, source_id, "kuaidi100", track(TRACK), query=QUERY)
        assert again.status_code == 200
        alone = Vault(NEXT_KEY)
        async with here.pool.acquire() as connection:
            await alone.check(connection)
            (letter,) = await connection.fetch("SELECT body FROM dead_letters WHERE topic = 'edge'")
            assert json.loads(alone.open_letter(letter["body"])) == {"id": 1}
            assert await marks(connection) == {alone.masters.mark}
        for index in ("phone", "email"):
            assert alone.blind_index("shop", index, "+8613800130001") == before.blind_index(
                "shop", index, "+8613800130001"
            )
        assert alone.pseudonym("shop", "x") == before.pseudonym("shop", "x")
    await assert_refused(with_keys(settings, MASTER_KEY))
    await assert_refused(with_keys(settings, THIRD_KEY, MASTER_KEY))


async def test_what_was_sealed_before_keys_had_names(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    """As a version without names left it: a wrapped key and a letter that begin with a nonce, no index key."""
    master, place = AESGCM(MASTER_KEY), place_of(("shop", "ann"), "key")
    data_key = b"d" * 32
    await admin.execute("SET search_path = ingest")
    await admin.execute("INSERT INTO vault_keys VALUES ('shop', 'ann', $1)", seal(master, data_key, place))
    sealed = seal(AESGCM(data_key), b"+8613800138000", place_of(("shop", "ann"), "phone"))
    old_index = hmac.digest(hmac.digest(MASTER_KEY, b"blind index", sha256), b"shop\x1fphone\x1f+8613800138000", sha256)
    await admin.execute("INSERT INTO vault VALUES ('shop', 'ann', 'phone', $1, $2)", sealed, old_index)
    await admin.execute(
        "INSERT INTO dead_letters (shop_id, topic, key, body, path, reason, at) VALUES"
        " ('shop', 'edge', 'shop/', $1, '$', '-', now())",
        seal(master, b'{"old": 1}', rotation.LETTER),
    )
    await assert_refused(with_keys(settings, NEXT_KEY))
    # At the first start there is a new key already: the index is that of the first one all the same.
    async with open_ingest(with_keys(settings, NEXT_KEY, THIRD_KEY, MASTER_KEY)) as here:
        found = await here.client.post(
            "/internal/vault/contacts",
            json={"shop_id": "shop", "customer_ids": ["ann"], "fields": ["phone"]},
            headers=keys["house"],
        )
        assert found.json() == {"ann": {"phone": "+8613800138000"}}
        vault = Vault(NEXT_KEY, [THIRD_KEY, MASTER_KEY])
        async with here.pool.acquire() as connection:
            await vault.check(connection)
            assert vault.blind_index("shop", "phone", "+8613800138000") == old_index
            assert [chunk async for chunk in rotation.rewrap(connection, vault.masters)] == [
                rotation.Chunk("vault_keys", 1, 0),
                rotation.Chunk("dead_letters", 1, 0),
            ]
    async with open_ingest(with_keys(settings, NEXT_KEY)) as here:
        body = await here.pool.fetchval("SELECT body FROM dead_letters")
        assert body.startswith(MARK)
        assert Vault(NEXT_KEY).open_letter(body) == b'{"old": 1}'


async def test_a_new_installation_has_an_index_key_of_its_own(settings: Settings, pool: asyncpg.Pool) -> None:
    """Whoever learns a master key cannot tell whose phone number an index is, without the database."""
    vaults = [Vault(MASTER_KEY) for _ in range(5)]
    async with pool.acquire() as connection:
        for vault in vaults:
            await vault.check(connection)
        sealed = await connection.fetchval("SELECT sealed FROM vault_index_key")
    assert len({vault.blind_index("shop", "phone", "1") for vault in vaults}) == 1
    index_key = open_(AESGCM(MASTER_KEY), sealed[12:], rotation.INDEX)
    assert vaults[0].blind_index("shop", "phone", "1") == Vault(THIRD_KEY, index_key=index_key).blind_index(
        "shop", "phone", "1"
    )
    with pytest.raises(AssertionError, match="check"):
        Vault(MASTER_KEY).blind_index("shop", "phone", "1")


async def test_what_no_key_opens_is_counted_and_left(
    settings: Settings, keys: Keys, pool: asyncpg.Pool, admin: asyncpg.Connection
) -> None:
    async with open_ingest(settings) as here:
        await tell(here, keys, 1, 2)
    await admin.execute(
        "INSERT INTO ingest.vault_keys SELECT shop_id, 'elsewhere', wrapped_key FROM ingest.vault_keys LIMIT 1"
    )
    vault = Vault(NEXT_KEY, [MASTER_KEY])
    async with pool.acquire() as connection:
        chunks = {chunk.table: chunk async for chunk in rotation.rewrap(connection, vault.masters)}
    assert chunks["vault_keys"] == rotation.Chunk("vault_keys", 2, 1)


async def test_the_command(
    settings: Settings,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE", settings.database or "")
    monkeypatch.setenv("REGULARS_ADMIN_DATABASE", settings.admin_database or "")
    home = Home(tmp_path)
    with pytest.raises(ValueError, match="no installation"):
        await command.new_key(home)
    first = home.secret("vault_key")
    own = settings.model_copy(update={"vault_key": SecretStr(first)})
    async with open_ingest(own) as here:
        await tell(here, keys, 1, 2)
    await command.new_key(home)
    second = home.secret("vault_key")
    assert (home.known("vault_old_keys"), second != first) == (first, True)
    await command.new_key(home)
    assert home.known("vault_old_keys") == f"{second},{first}"
    assert load_settings(vault_old_keys=home.known("vault_old_keys")).vault_old_keys is not None
    capsys.readouterr()
    assert await command.rotate(home, drop_old=True) == 0
    told = capsys.readouterr().out
    assert "vault_keys         2 sealed anew" in told
    assert "the old ones are gone" in told
    assert home.known("vault_old_keys") is None
    async with open_ingest(settings.model_copy(update={"vault_key": SecretStr(home.secret("vault_key"))})) as here:
        assert len(await contacts(here, keys, 3)) == 2
    monkeypatch.setenv("REGULARS_VAULT_KEY", first)
    with pytest.raises(ValueError, match="REGULARS_VAULT_KEY is not the key"):
        await command.rotate(home, drop_old=False)
    with pytest.raises(ValueError, match="yours to make"):
        await command.new_key(home)
