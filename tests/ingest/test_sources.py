"""Sources over their routes and by the command: made, listed, given another secret, and who may."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from common.settings import Settings
from ingest import sources
from ingest.vault import Vault
from regulars import sources as command
from regulars.home import Home
from tests.ingest.conftest import MASTER_KEY, Ingest, Keys, assert_problem, open_ingest


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


async def made(here: Ingest, keys: Keys, kind: str = "kuaidi100", **more: Any) -> dict[str, Any]:
    answer = await here.client.post("/v1/sources", json={"kind": kind} | more, headers=keys["operator"])
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def listed(here: Ingest, keys: Keys, who: str = "operator") -> list[dict[str, Any]]:
    answer = await here.client.get("/v1/sources", headers=keys[who])
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_source_is_made_and_its_secret_told_once(here: Ingest, keys: Keys) -> None:
    told = await made(here, keys, name="parcels")
    assert re.fullmatch(r"src_[0-9a-f]{24}", told["source_id"])
    assert told["path"] == f"/v1/hooks/{told['source_id']}"
    assert len(told["secret"]) >= 32
    (source,) = await listed(here, keys)
    assert told["secret"] not in str(source)
    assert {name: source[name] for name in ("kind", "name", "options", "secrets", "last_delivery_at", "accepted")} == {
        "kind": "kuaidi100",
        "name": "parcels",
        "options": {},
        "secrets": 1,
        "last_delivery_at": None,
        "accepted": 0,
    }


async def test_secrets_stand_sealed(here: Ingest, keys: Keys, admin: asyncpg.Connection) -> None:
    told = await made(here, keys, "aftership", secret="given-by-the-platform")
    assert told["secret"] is None  # who gave it knows it
    (sealed,) = [row["sealed"] for row in await admin.fetch("SELECT sealed FROM ingest.source_secrets")]
    assert b"given" not in sealed
    assert Vault(MASTER_KEY).open_secret(told["source_id"], sealed) == "given-by-the-platform"


async def test_rotation_keeps_two_and_no_more(here: Ingest, keys: Keys, admin: asyncpg.Connection) -> None:
    told = await made(here, keys)
    address = f"/v1/sources/{told['source_id']}/secrets"
    second = (await here.client.post(address, json={}, headers=keys["operator"])).json()["secret"]
    third = (await here.client.post(address, json={"secret": "the-third"}, headers=keys["operator"])).json()["secret"]
    assert third is None
    vault = Vault(MASTER_KEY)
    rows = await admin.fetch("SELECT sealed, valid_until FROM ingest.source_secrets ORDER BY id")
    assert [vault.open_secret(told["source_id"], row["sealed"]) for row in rows] == [second, "the-third"]
    assert [row["valid_until"] is None for row in rows] == [False, True]
    (source,) = await listed(here, keys)
    assert source["secrets"] == 2
    await here.client.post(address, json={"old_valid_hours": 0}, headers=keys["operator"])
    assert await admin.fetchval("SELECT count(*) FROM ingest.source_secrets") == 1


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"kind": "nope"}, "$.kind"),
        ({"kind": "kdniao", "options": {"unsigned": "yes"}}, "$.options.unsigned"),
        ({"kind": "kdniao", "options": {"unsinged": True}}, "$.options"),
        ({"kind": "aftership", "options": {"zone": "Mars/Base"}}, "$.options"),
        ({"kind": "kuaidi100", "secret": "short"}, "$.secret"),
        ({"kind": "kuaidi100", "shop": "other"}, "$.shop"),
    ],
)
async def test_what_is_wrong_with_a_source(here: Ingest, keys: Keys, asked: dict[str, Any], path: str) -> None:
    answer = await here.client.post("/v1/sources", json=asked, headers=keys["operator"])
    assert_problem(answer, 422, "Invalid request", path)
    assert await listed(here, keys) == []


async def test_a_platform_that_makes_the_secret_cannot_be_given_ours(here: Ingest, keys: Keys) -> None:
    told = await made(here, keys, "kdniao")
    assert told["secret"] is None
    answer = await here.client.post(f"/v1/sources/{told['source_id']}/secrets", json={}, headers=keys["operator"])
    assert_problem(answer, 422, "Invalid request", "$.secret")


async def test_who_may(here: Ingest, keys: Keys) -> None:
    told = await made(here, keys)
    for address in ("/v1/sources", f"/v1/sources/{told['source_id']}/secrets"):
        for who in ("sender", "reader"):
            answer = await here.client.post(address, json={"kind": "kuaidi100"}, headers=keys[who])
            assert_problem(answer, 403, "Forbidden")
        assert_problem(await here.client.post(address, json={}), 401, "Unauthorized")
    assert await listed(here, keys, "other") == []
    for door in ("secrets", "deliveries"):
        answer = await here.client.post(f"/v1/sources/{told['source_id']}/{door}", json={}, headers=keys["other"])
        assert_problem(answer, 404, "Not Found")


async def test_pages(here: Ingest, keys: Keys) -> None:
    wanted = {(await made(here, keys))["source_id"] for _ in range(3)}
    first = (await here.client.get("/v1/sources", params={"limit": 2}, headers=keys["operator"])).json()
    rest = (
        await here.client.get("/v1/sources", params={"limit": 2, "cursor": first["next"]}, headers=keys["operator"])
    ).json()
    assert {source["source_id"] for source in first["items"] + rest["items"]} == wanted
    assert rest["next"] is None


async def test_another_master_key_is_heard_at_the_start(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as here:
        await made(here, keys)
    other = settings.model_copy(update={"vault_key": SecretStr(b64encode(b"x" * 32).decode())})
    with pytest.raises(ValueError, match="REGULARS_VAULT_KEY is not the key"):
        async with open_ingest(other):
            raise AssertionError("must not open")


async def test_the_command(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings.database is not None
    monkeypatch.setenv("REGULARS_DATABASE", settings.database)
    monkeypatch.setenv("REGULARS_ADMIN_DATABASE", settings.admin_database or "")
    monkeypatch.setenv("REGULARS_VAULT_KEY", b64encode(MASTER_KEY).decode())
    home = Home(tmp_path)
    await command.show(home, "demo")
    assert capsys.readouterr().out == "No sources.\n"
    await command.add(home, "demo", "woocommerce", "my shop", ["customers=wp"], None)
    told = capsys.readouterr().out
    source_id = re.search(r"src_\w+", told)
    assert source_id is not None
    assert f"/v1/hooks/{source_id[0]}" in told
    assert "not shown again" in told
    await command.rotate(home, "demo", source_id[0], "from-the-platform", 1)
    await command.show(home, "demo")
    shown = capsys.readouterr().out
    assert "secrets: 2  last: never" in shown
    assert "from-the-platform" not in shown
    await command.add(home, "demo", "aftership", "", [], None)
    assert "regulars sources rotate" in capsys.readouterr().out
    with pytest.raises(ValueError, match="has no source"):
        await command.rotate(home, "olist", source_id[0], None, 1)
    with pytest.raises(ValueError, match="unknown shop"):
        await command.show(home, "nope")
    with pytest.raises(sources.Refused, match=r"\$\.options"):
        await command.add(home, "demo", "woocommerce", "", ["nothing=1"], None)
