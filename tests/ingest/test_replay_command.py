"""`regulars dead-letters replay ingest`: one letter that can go nowhere any more holds up no other."""

from base64 import b64encode
from pathlib import Path

import asyncpg
import pytest

from common.settings import Settings
from regulars.home import Home
from regulars.verbs import dead_letters
from tests.ingest.conftest import MASTER_KEY, Keys, lend, open_ingest, visit
from tests.ingest.test_hooks import call, source

LEFT = "SELECT topic FROM ingest.dead_letters WHERE replayed_at IS NULL ORDER BY id"


async def test_letters_of_a_removed_source_stay_and_the_others_go(
    settings: Settings,
    keys: Keys,
    admin: asyncpg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE", settings.database or "")
    monkeypatch.setenv("REGULARS_ADMIN_DATABASE", settings.admin_database or "")
    monkeypatch.setenv("REGULARS_INGEST_URL", "http://lent")
    monkeypatch.setenv("REGULARS_VAULT_KEY", b64encode(MASTER_KEY).decode())
    async with open_ingest(settings) as here:
        gone, stays = [await source(here, keys, "woocommerce") for _ in range(2)]
        for each in (gone, stays):
            await call(here, each, "woocommerce", {"id": "x", "billing": {"email": "ann@example.com"}})  # refused
        refused = await here.client.post("/v1/events", json=visit("e1", "ann", typo=1), headers=keys["sender"])
        assert refused.status_code == 422
        removed = await here.client.delete(f"/v1/sources/{gone}", headers=keys["operator"])
        assert removed.status_code == 204
        (first, *_) = [row["topic"] for row in await admin.fetch(LEFT)]
        lend(monkeypatch, here)
        await dead_letters.replay(Home(tmp_path), "ingest", None)
        told = capsys.readouterr().out
        counts = "0 accepted, 0 duplicate, 0 ignored, 2 refused, 0 unreadable, 1 removed"
        assert " ".join(told.split()) == f"3 sent again: {counts}"
        left = [row["topic"] for row in await admin.fetch(LEFT)]
        assert first.endswith(gone)
        assert left.count(first) == 1
        assert len(left) == 3  # and the two that were refused anew
