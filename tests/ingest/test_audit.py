"""The audit log: every act is noted with who did it, in the act's own transaction; nobody can take a note back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from common.db.engine import open_pool
from common.settings import Settings
from common.web import audit
from common.web.auth import Caller, key_id_of
from ingest.api import Intake
from ingest.imports import Imports
from regulars.home import Home
from regulars.verbs import audit as told
from regulars.verbs import keys as verbs
from tests.ingest.conftest import Keys, assert_problem, open_ingest, visit

NOTED = "SELECT shop_id, who, action, target, request_id FROM access.audit ORDER BY id"


def id_of(keys: Keys, name: str) -> str:
    return keys[name]["Authorization"].split("_")[1]


async def test_acts_of_routes_are_noted(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    operator, owner = id_of(keys, "operator"), id_of(keys, "admin")
    async with open_ingest(settings) as (_, client, _):
        sent = keys["operator"] | {"x-request-id": "r-1"}
        made = await client.post("/v1/sources", json={"kind": "woocommerce", "secret": "a-secret-of-it"}, headers=sent)
        source_id = made.json()["source_id"]
        assert (await client.post(f"/v1/sources/{source_id}/secrets", json={}, headers=sent)).status_code == 201
        delivery = {"body": "e30="}
        await client.post(f"/v1/sources/{source_id}/deliveries", json=delivery, headers=sent)
        sent = keys["admin"] | {"x-request-id": "r-2"}
        key = (await client.post("/v1/keys", json={"scopes": ["read"]}, headers=sent)).json()
        assert (await client.delete(f"/v1/keys/{key['key_id']}", headers=sent)).status_code == 204
        noted = [tuple(row) for row in await admin.fetch(NOTED)]
        assert noted == [
            ("shop", operator, "source.made", source_id, "r-1"),
            ("shop", operator, "source.rotated", source_id, "r-1"),
            ("shop", operator, "delivery.replayed", source_id, "r-1"),
            ("shop", owner, "key.made", key["key_id"], "r-2"),
            ("shop", owner, "key.revoked", key["key_id"], "r-2"),
        ]
        assert "a-secret-of-it" not in str(noted)
        assert key["key"].split("_")[2] not in str(noted)


async def test_what_is_refused_is_not_noted(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    async with open_ingest(settings) as (_, client, _):
        for method, path, body in (
            ("POST", "/v1/sources", {"kind": "no such"}),
            ("POST", "/v1/sources/src_1/secrets", {}),
            ("DELETE", "/v1/keys/00000000", None),
            ("PUT", "/v1/sources/src_1/rest", {"url": "https://shop.example.com", "key": "shpat_0123456789"}),
            ("DELETE", "/v1/sources/src_1/rest", None),
        ):
            answer = await client.request(method, path, json=body, headers=keys["admin"])
            assert answer.status_code in (404, 422)
    assert await admin.fetch(NOTED) == []


async def test_an_import_is_noted_when_it_begins(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    async with open_ingest(settings) as (_, client, _):
        for number in range(3):
            event = visit(f"e{number}", "c1", time="2020-01-01T00:00:00Z")
            said = {"historic": str(number > 0).lower()}
            answer = await client.post("/v1/events", params=said, json=event, headers=keys["operator"])
            assert answer.status_code == 202
        refused = await client.post("/v1/events", params={"historic": "true"}, json={}, headers=keys["sender"])
        assert refused.status_code == 403
    noted = [(row["who"], row["action"], row["target"]) for row in await admin.fetch(NOTED)]
    assert noted == [(id_of(keys, "operator"), "import.begun", "shop")]


async def test_after_an_hour_it_is_another_import(settings: Settings, admin: asyncpg.Connection) -> None:
    began, caller = datetime(2026, 3, 1, tzinfo=UTC), Caller("shop", frozenset(("operate",)), "k")
    async with open_pool(settings, "ingest") as pool:
        imports = Imports(pool)
        for minutes, notes in ((0, 1), (50, 1), (100, 1), (161, 2)):
            await imports.came(caller, began + timedelta(minutes=minutes))
            assert len(await admin.fetch(NOTED)) == notes


@pytest.mark.parametrize(
    ("door", "said", "noted"),
    [
        ("merge", {"into": "b"}, ("people.merged", "c into b")),
        ("split", {"reason": "x"}, ("people.split", "a out of b")),
    ],
)
async def test_who_merged_is_known_though_it_was_cut_short(
    settings: Settings,
    keys: Keys,
    admin: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    door: str,
    said: dict[str, str],
    noted: tuple[str, str],
) -> None:
    async def die(*_: object) -> None:
        raise OSError("the machine is gone")

    async with open_ingest(settings) as (_, client, _):
        merged = await client.post("/v1/customers/a/merge", json={"into": "b"}, headers=keys["operator"])
        assert merged.status_code == 200
        monkeypatch.setattr(Intake, "write", die)
        path = f"/v1/customers/{noted[1][0]}/{door}"
        assert (await client.post(path, json=said, headers=keys["operator"])).status_code == 503
    last = (await admin.fetch(NOTED))[-1]
    assert (last["who"], last["action"], last["target"]) == (id_of(keys, "operator"), *noted)


async def test_a_key_that_a_command_makes_for_itself_is_noted(
    settings: Settings, admin: asyncpg.Connection, tmp_path: Path
) -> None:
    async with Home(tmp_path).admin_key(settings.admin_database or "", "shop") as key:
        made = [tuple(row) for row in await admin.fetch(NOTED)]
        assert made == [("shop", "cli", "key.made", key_id_of(key), "")]
    assert [row["action"] for row in await admin.fetch(NOTED)] == ["key.made", "key.revoked"]
    assert await admin.fetchval("SELECT count(*) FROM access.api_keys WHERE revoked_at IS NULL") == 0


async def test_the_log_is_read_by_pages_newest_first_and_of_the_own_shop(
    settings: Settings, keys: Keys, admin: asyncpg.Connection
) -> None:
    async with admin.transaction():
        for number in range(5):
            await audit.note(admin, Caller("shop", frozenset(), "k"), "person.erased", f"c{number}")
        await audit.note(admin, Caller("other", frozenset(), "k"), "person.erased", "theirs")
    async with open_ingest(settings) as (_, client, _):
        targets, cursor = [], None
        while True:
            asked = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/v1/audit", params=asked, headers=keys["admin"])).json()
            targets += [item["target"] for item in page["items"]]
            if (cursor := page["next"]) is None:
                break
        assert targets == ["c4", "c3", "c2", "c1", "c0"]
        for name in ("operator", "reader", "house"):
            assert_problem(await client.get("/v1/audit", headers=keys[name]), 403, "Forbidden")
            assert_problem(await client.get("/v1/keys", headers=keys[name]), 403, "Forbidden")


async def test_a_note_falls_with_its_transaction(admin: asyncpg.Connection, settings: Settings) -> None:
    class Failed(Exception):
        pass

    async def act() -> None:
        async with admin.transaction():
            await audit.note(admin, audit.command("shop"), "people.merged", "a, b")
            raise Failed

    with pytest.raises(Failed):
        await act()
    assert await admin.fetch(NOTED) == []


@pytest.mark.parametrize(
    "change", ["UPDATE access.audit SET who = 'nobody'", "DELETE FROM access.audit", "TRUNCATE access.audit"]
)
async def test_a_service_can_add_to_it_and_nothing_else(settings: Settings, change: str) -> None:
    async with open_pool(settings, "ingest") as pool, pool.acquire() as connection:
        await audit.note(connection, audit.command(), "import.begun", "x")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change)


async def test_no_service_gives_itself_another_right_over_keys(settings: Settings, keys: Keys) -> None:
    async with open_pool(settings, "ingest") as pool:
        for change in (
            "UPDATE access.api_keys SET scopes = '{internal}'",
            "DELETE FROM access.api_keys",
            "UPDATE access.api_keys SET shop_id = 'x'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(change)


async def test_keys_are_made_listed_and_revoked_over_http(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (_, client, _):
        owner = keys["admin"]
        made = (await client.post("/v1/keys", json={"scopes": ["read", "operate"]}, headers=owner)).json()
        mine = {"X-API-Key": made["key"]}
        assert (await client.get("/v1/sources", headers=mine)).status_code == 200
        (shown,) = [
            key for key in (await client.get("/v1/keys", headers=owner)).json() if key["key_id"] == made["key_id"]
        ]
        assert (shown["shop_id"], shown["scopes"], shown["revoked_at"]) == ("shop", ["operate", "read"], None)
        assert set(shown) == {"key_id", "shop_id", "scopes", "created_at", "revoked_at"}
        assert (await client.delete(f"/v1/keys/{made['key_id']}", headers=owner)).status_code == 204
        assert (await client.get("/v1/sources", headers=mine)).status_code == 401  # at once, here
        assert (await client.delete(f"/v1/keys/{made['key_id']}", headers=owner)).status_code == 404
        theirs = id_of(keys, "other")
        assert (await client.delete(f"/v1/keys/{theirs}", headers=owner)).status_code == 404
        assert (await client.get("/v1/sources", headers=keys["other"])).status_code == 200
        wrongs: tuple[dict[str, Any], ...] = (
            {"scopes": []},
            {"scopes": ["internal"]},
            {"scopes": ["read"], "shop": "other"},
            {},
        )
        for wrong in wrongs:
            assert (await client.post("/v1/keys", json=wrong, headers=owner)).status_code == 422


async def test_the_command_lists_revokes_and_shows_what_it_did(
    settings: Settings,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE", str(settings.database))
    monkeypatch.setenv("REGULARS_ADMIN_DATABASE", fresh_database)
    home = Home(tmp_path)
    await verbs.create(tmp_path, "demo", ["read"])
    key = capsys.readouterr().out.strip()
    key_id = key.split("_")[1]
    await verbs.show(home, None)
    assert f"{key_id}  demo" in (shown := capsys.readouterr().out)
    assert shown.rstrip().endswith("good")
    assert key not in shown
    await verbs.revoke(home, key_id)
    with pytest.raises(ValueError, match="is revoked"):
        await verbs.revoke(home, key_id)
    await verbs.show(home, "demo")
    assert "revoked 20" in capsys.readouterr().out
    await told.show(home, None, 10)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2:] for line in lines] == [
        ["demo", "cli", "key.made", key_id],
        ["demo", "cli", "key.revoked", key_id],
    ]
