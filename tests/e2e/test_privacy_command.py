"""`regulars privacy`: everything about a person out of the whole system, by all ids, and nothing afterwards."""

import json
import socket
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from common.db.migrate import migrate
from common.house import build_house, running
from common.web.auth import create_key
from regulars.asking import Elsewhere
from regulars.drain import drained
from regulars.home import Home
from regulars.openers import ALL
from regulars.services import NAMES
from regulars.verbs import customers, privacy
from tests.contract.waiting import until
from tests.ingest.conftest import settings_for

LONG_S = 30.0
PHONE, EMAIL, REVIEW = "+8613905718888", "ann@example.com", "很好，还会再来"
AMOUNT = {"amount_minor": 12_900, "currency": "CNY"}
ORDER = {"order_id": "o1", "amount": AMOUNT}
BROWSER = {"anonymous": "browser-1"}
CONTACT = {"phone": PHONE, "email": EMAIL}
TOLD = [
    {"id": "e1", "type": "visit", "identities": BROWSER, "personal": {"email": EMAIL}},
    {"id": "e2", "type": "order.placed", "subject": "ann", "data": ORDER, "personal": CONTACT, "identities": BROWSER},
    {"id": "e3", "type": "order.paid", "subject": "ann", "data": ORDER},
    {"id": "e4", "type": "shipment.dispatched", "subject": "ann", "data": {"order_id": "o1"}},
    {"id": "e5", "type": "order.completed", "subject": "ann", "data": ORDER},
    {
        "id": "e6",
        "type": "review.submitted",
        "subject": "ann",
        "data": {"rating": 5},
        "personal": {"review_text": REVIEW},
    },
]


async def test_all_services_are_asked(
    fresh_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = settings_for(fresh_database, port=port, ingest_url=f"http://127.0.0.1:{port}", tick_ms=20)
    await migrate(settings, NAMES)
    admin = await asyncpg.connect(fresh_database)
    key = await create_key(admin, "demo", ["admin"])
    home, file = Home(tmp_path / "home"), tmp_path / "ann.json"
    # As on the machine itself, where a key is made for the one command, and revoked.
    assert settings.database is not None
    monkeypatch.setenv("REGULARS_DATABASE", settings.database)
    monkeypatch.setenv("REGULARS_ADMIN_DATABASE", fresh_database)
    monkeypatch.setenv("REGULARS_INGEST_URL", settings.ingest_url)

    async def is_sent() -> bool:
        return bool(await admin.fetchval("SELECT count(*) FROM notifier.messages WHERE status = 'sent'"))

    async with (
        running(build_house(settings), ALL, "test") as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}) as client,
    ):
        for event in TOLD:
            assert (await client.post("/v1/events", json=event)).status_code == 202
        await until(is_sent, "the dispatch notice")
        assert await drained(fresh_database, LONG_S)
        await privacy.export(home, "demo", "browser-1", file, Elsewhere([url], key))
        check(json.loads(file.read_bytes()))
        assert file.stat().st_mode & 0o077 == 0
        capsys.readouterr()
        await privacy.export(home, "demo", "ann", None, None)
        check(json.loads(capsys.readouterr().out))
        await privacy.export(home, "demo", "nobody", None, None)
        nobody = json.loads(capsys.readouterr().out)["services"]
        assert nobody["segmentation"] == {"nobody": {"customer": None, "timeline": None}}
        await privacy.erase(home, "demo", "browser-1", None)
        told = capsys.readouterr().out
        assert told.startswith("erased ann, browser-1: 2 keys,"), told
        assert "2 told to the other services" in told
        assert await drained(fresh_database, LONG_S)
        await privacy.export(home, "demo", "ann", None, None)
        after = capsys.readouterr().out
        assert not [value for value in (PHONE, EMAIL, REVIEW) if value in after]
        await slashed(home, client, capsys)
        monkeypatch.setattr(privacy, "PAGE", 1)
        await privacy.show(home, "demo", everything=True, elsewhere=None)
        shown = capsys.readouterr().out.splitlines()
        assert [line.partition("  erased ")[2] for line in shown] == ["ann, browser-1", "c/d"]
    live = await admin.fetchval("SELECT count(*) FROM access.api_keys WHERE revoked_at IS NULL AND scopes = '{admin}'")
    assert live == 1, "only the test's own"
    await admin.close()


async def merged(home: Home, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Shown by whichever id: who lives on, and what else it is called."""
    capsys.readouterr()
    await customers.merge(home, "demo", "nb", "na")
    assert capsys.readouterr().out == "nb is na from now on.\n"
    await customers.show(home, "demo", "na")
    of_na = capsys.readouterr().out
    assert of_na.startswith("na is also nb.\n")
    await customers.show(home, "demo", "nb")
    assert capsys.readouterr().out == f"nb was merged; it lives on as na:\n{of_na}"
    seen = {"id": "m1", "type": "visit", "subject": "na", "identities": {"buyer": "taobao:9"}}
    assert (await client.post("/v1/events", json=seen)).status_code == 202
    await customers.show(home, "demo", "taobao:9")
    assert capsys.readouterr().out.startswith("taobao:9 is a name of na:\nna is also nb.\n")


async def slashed(home: Home, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    """An id may hold what stands for something else in an address."""
    amount = {"order_id": "o9", "amount": AMOUNT}
    for number, kind in enumerate(("order.placed", "order.paid", "order.completed")):
        event = {"id": f"s{number}", "type": kind, "subject": "c/d", "data": amount, "personal": {"email": EMAIL}}
        assert (await client.post("/v1/events", json=event)).status_code == 202

    async def is_decided() -> bool:
        return (await client.get("/v1/accounts/c%2Fd")).is_success

    await until(is_decided, "points for the order")
    await merged(home, client, capsys)
    await customers.show(home, "demo", "c/d")
    await privacy.export(home, "demo", "c/d", None, None)
    names, _, document = capsys.readouterr().out.partition("{")
    assert "of c/d" in names
    services = json.loads("{" + document)["services"]
    assert services["ingest"]["contact"] == {"c/d": {"email": EMAIL}}
    assert services["loyalty"]["c/d"]["account"]["points"] == 129
    assert services["segmentation"]["c/d"]["customer"]["purchases"] == 1
    assert services["journeys"]["c/d"]["journeys"] is not None
    assert services["notifier"]["c/d"] == {"inbox": [], "messages": []}
    await privacy.erase(home, "demo", "c/d", None)
    assert capsys.readouterr().out.startswith("erased c/d: 1 keys,")


def check(document: dict[str, Any]) -> None:
    assert document["customer_ids"] == ["ann", "browser-1"]
    services = document["services"]
    own = services["ingest"]
    assert own["contact"]["ann"] == {"phone": PHONE, "email": EMAIL}
    assert own["reviews"] == [{"source": "api", "event_id": "e6", "text": REVIEW}]
    assert [step["type"] for step in own["orders"]["o1"]] == [
        "order.placed",
        "order.paid",
        "shipment.dispatched",
        "order.completed",
    ]
    assert {one["kind"] for one in own["identities"]} >= {"phone", "anonymous", "order"}
    assert services["segmentation"]["ann"]["customer"]["purchases"] == 1
    assert [one["journey"] for one in services["journeys"]["ann"]["journeys"]].count("dispatch_notice") == 1
    assert services["loyalty"]["ann"]["account"]["points"] == 129
    (message,) = [one for one in services["notifier"]["ann"]["messages"] if one["channel"] == "sms"]
    assert message["status"] == "sent"


def test_addresses_of_five_processes() -> None:
    five = [f"{name}=http://{name}:80" for name in NAMES]
    assert Elsewhere(five, "k").address_of("loyalty") == "http://loyalty:80"
    assert Elsewhere(["http://all"], "k").address_of("loyalty") == "http://all"
    assert Elsewhere(["http://all", "ingest=http://own"], "k").address_of("ingest") == "http://own"
    with pytest.raises(ValueError, match="--url notifier="):
        Elsewhere(five[:-1], "k").address_of("notifier")
    with pytest.raises(ValueError, match="expected a service"):
        Elsewhere(["http://all", "nothing=http://x"], "k").address_of("ingest")
