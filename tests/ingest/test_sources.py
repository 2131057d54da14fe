"""Sources over their routes and by the command: made, listed, given another secret, asked, removed, and who may."""

import hmac
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from common.settings import Settings
from ingest import sources
from ingest.vault import Vault
from regulars.home import Home
from regulars.verbs import sources as command
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
    for who, status in (("sender", 403), ("reader", 403), ("other", 404)):
        address = f"/v1/sources/{told['source_id']}/rest"
        assert (await here.client.put(address, json=REST, headers=keys[who])).status_code == status
        assert (await here.client.delete(address, headers=keys[who])).status_code == status


REST = {"url": "https://shop.example.com/", "key": "shpat_0123456789"}


async def test_a_source_that_is_asked_for_what_webhooks_miss(
    here: Ingest, keys: Keys, admin: asyncpg.Connection
) -> None:
    told = await made(here, keys, "shopify", rest=REST | {"since": "2100-01-01T00:00:00Z"})
    (source,) = await listed(here, keys)
    assert (source["rest_url"], source["secrets"]) == ("https://shop.example.com", 0)
    assert {poll["resource"]: poll["up_to"] for poll in source["polls"]} == {
        "orders": "2100-01-01T00:00:00Z",
        "customers": "2100-01-01T00:00:00Z",
    }
    assert source["lag_s"] >= 0
    (row,) = await admin.fetch("SELECT sealed, purpose FROM ingest.source_secrets")
    assert (b"shpat" in row["sealed"], row["purpose"]) == (False, "rest")
    assert Vault(MASTER_KEY).open_secret(told["source_id"], row["sealed"]) == REST["key"]
    assert "shpat" not in str(source)
    address = f"/v1/sources/{told['source_id']}/rest"
    again = {"url": "https://moved.example.com", "key": "shpat_another"}
    assert (await here.client.put(address, json=again, headers=keys["operator"])).status_code == 204
    (source,) = await listed(here, keys)
    assert source["rest_url"] == "https://moved.example.com"
    assert source["polls"][0]["up_to"] == "2100-01-01T00:00:00Z"  # it goes on from where it came to
    assert (await here.client.delete(address, headers=keys["operator"])).status_code == 204
    (source,) = await listed(here, keys)
    assert (source["rest_url"], source["polls"], source["lag_s"]) == (None, [], None)
    assert await admin.fetchval("SELECT count(*) FROM ingest.source_secrets") == 0


async def test_the_credential_is_no_webhooks_secret(here: Ingest, keys: Keys, admin: asyncpg.Connection) -> None:
    """And giving another secret does not touch it."""
    told = await made(here, keys, "shopify", rest=REST | {"since": "2100-01-01T00:00:00Z"})
    body = b"{}"
    mac = b64encode(hmac.digest(REST["key"].encode(), body, sha256)).decode()
    answer = await here.client.post(told["path"], content=body, headers={"X-Shopify-Hmac-Sha256": mac})
    assert_problem(answer, 401, "Unauthorized")
    for secret in ("the-first-secret", "the-second-secret", "the-third-secret"):
        address = f"/v1/sources/{told['source_id']}/secrets"
        asked = {"secret": secret, "old_valid_hours": 0}
        assert (await here.client.post(address, json=asked, headers=keys["operator"])).status_code == 201
    purposes = [row["purpose"] for row in await admin.fetch("SELECT purpose FROM ingest.source_secrets ORDER BY id")]
    assert purposes == ["rest", "webhook"]


@pytest.mark.parametrize(
    ("kind", "rest", "path"),
    [
        ("kdniao", REST, "$"),
        ("shopify", REST | {"url": "http://shop.example.com"}, "$.url"),
        ("shopify", REST | {"url": "https://me:secret@shop.example.com"}, "$.url"),
        ("shopify", REST | {"key": "short"}, "$.key"),
        ("shopify", REST | {"key": "shpat_\r\nX-Evil: 1"}, "$.key"),
        ("shopify", REST | {"key": "0123456789:shpss_:0"}, "$.key"),
        ("woocommerce", REST, "$.key"),
        ("shopify", REST | {"more": 1}, "$.more"),
    ],
)
async def test_what_is_wrong_with_what_it_is_asked_with(
    here: Ingest, keys: Keys, kind: str, rest: dict[str, Any], path: str
) -> None:
    under = f"$.rest{path.removeprefix('$')}"
    answer = await here.client.post("/v1/sources", json={"kind": kind, "rest": rest}, headers=keys["operator"])
    assert_problem(answer, 422, "Invalid request", under)
    assert await listed(here, keys) == []
    told = await made(here, keys, kind)
    address = f"/v1/sources/{told['source_id']}/rest"
    answer = await here.client.put(address, json=rest, headers=keys["operator"])
    assert_problem(answer, 422, "Invalid request", "$.rest" if path == "$" else path)


async def test_a_source_is_removed(here: Ingest, keys: Keys, admin: asyncpg.Connection) -> None:
    told = await made(here, keys, "woocommerce", rest={"url": "https://a.example", "key": "ck_1234:cs_1234"})
    other = await made(here, keys)
    address = f"/v1/sources/{told['source_id']}"
    for who, status in (("other", 404), ("reader", 403), ("operator", 204), ("operator", 404)):
        answer = await here.client.delete(address, headers=keys[who])
        assert answer.status_code == status, (who, answer.text)
    assert [source["source_id"] for source in await listed(here, keys)] == [other["source_id"]]
    assert_problem(await here.client.post(told["path"], content=b"webhook_id=8"), 404, "Not Found")
    for table in ("source_secrets", "polls"):
        assert await admin.fetchval(f"SELECT count(*) FROM ingest.{table} WHERE source_id = $1", told["source_id"]) == 0


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
    monkeypatch.setattr(command, "PAGE", 1)
    await command.show(home, "demo")
    assert len(re.findall("^src_", capsys.readouterr().out, re.MULTILINE)) == 2
    with pytest.raises(ValueError, match="has no source"):
        await command.rotate(home, "olist", source_id[0], None, 1)
    with pytest.raises(ValueError, match="unknown shop"):
        await command.show(home, "nope")
    with pytest.raises(sources.Refused, match=r"\$\.options"):
        await command.add(home, "demo", "woocommerce", "", ["nothing=1"], None)
    access = sources.Rest(url="https://shop.example.com", key="ck_1234:cs_1234")
    await command.rest(home, "demo", source_id[0], access)
    capsys.readouterr()
    await command.show(home, "demo")
    shown = capsys.readouterr().out
    assert "orders asked for: never in full; 0 events that no webhook had brought" in shown
    assert "cs_1234" not in shown
    await command.rest(home, "demo", source_id[0], None)
    assert "asked no more" in capsys.readouterr().out
    await command.remove(home, "demo", source_id[0])
    with pytest.raises(ValueError, match="has no source"):
        await command.remove(home, "demo", source_id[0])
    with pytest.raises(ValueError, match="has no source"):
        await command.rest(home, "demo", source_id[0], access)


def test_secrets_come_out_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file\n", encoding="utf-8")
    assert command.secret_of(None, str(file)) == "from-a-file"
    assert command.secret_of("from-the-command", None) == "from-the-command"
    assert command.secret_of(None, None) is None
    monkeypatch.setattr("sys.stdin", StringIO("from-the-input\n"))
    assert command.secret_of(None, "-") == "from-the-input"
    with pytest.raises(ValueError, match="holds no secret"):
        command.secret_of(None, "-")  # it is read
    with pytest.raises(ValueError, match="give one of the two"):
        command.secret_of("one", str(file))


def test_how_a_platform_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("shpat_0123456789", encoding="utf-8")
    assert command.rest_of(None, None, None) is None
    assert command.rest_of("https://a.example", str(file), None) == sources.Rest(
        url="https://a.example", key="shpat_0123456789"
    )
    for url, key in (("https://a.example", None), (None, str(file))):
        with pytest.raises(ValueError, match="belong together"):
            command.rest_of(url, key, None)
    file.write_text("a key", encoding="utf-8")
    with pytest.raises(ValueError, match=r"\$\.rest\.key") as raised:
        command.rest_of("https://a.example", str(file), None)
    assert "a key" not in str(raised.value)
