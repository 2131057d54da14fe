"""Unmodified Node clients of Segment and RudderStack against a running ingest: all arrives, once; and beyond a limit.

They are installed into the cache folder at the first run, pinned by hash. Without Node, or out of reach of a package
index, that is said and nothing is tested.
"""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NoReturn

import asyncpg
import httpx
import pytest

from common.contracts.ingest import CartItemAdded, OrderPaid
from common.settings import Settings
from common.web.auth import create_key
from tests.ingest.conftest import rows_of
from tests.ingest.test_kill import ingest_process

HERE = Path(__file__).parent / "node_clients"
LOCK = HERE / "npm-shrinkwrap.json"
OLDEST_NODE = 18
# Not `ci`: that asks for the optional packages of all other platforms too.
INSTALL = ("install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
INSTALL_TIMEOUT_S = 180
RUN_TIMEOUT_S = 90
CLIENTS = ("segment", "rudderstack", "rudderstack, plain")
PEOPLE = 20
CARTS_EACH = 12  # several uploads


def not_tested(reason: str) -> NoReturn:
    pytest.skip(f"NOT TESTED WITH NODE'S CLIENTS: {reason}")


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder that they are installed in."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        not_tested("there is no node, or no npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        not_tested(f"node is {version}, older than {OLDEST_NODE}")
    cache = Path(os.environ.get("REGULARS_CACHE") or Path.home() / ".cache/regulars")
    folder = cache / f"node-clients-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        install(npm, cache, folder)
    return folder


def install(npm: str, cache: Path, folder: Path) -> None:
    """Beside, and then moved: whole or not at all, though two test processes may do it at once."""
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="node-clients-", dir=cache))
    try:
        shutil.copy(HERE / "package.json", made)
        shutil.copy(LOCK, made / "package-lock.json")
        done = subprocess.run(
            [npm, *INSTALL], cwd=made, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
        if done.returncode:
            not_tested(f"npm cannot install them: {done.stderr.strip()[-500:]}")
        try:
            made.rename(folder)
        except OSError:
            assert folder.exists(), f"{folder} cannot be made"
    except subprocess.TimeoutExpired:
        not_tested(f"npm has not installed them in {INSTALL_TIMEOUT_S} s")
    finally:
        shutil.rmtree(made, ignore_errors=True)


async def run(clients: Path, name: str, url: str, key: str, people: int) -> None:
    """One shop, to its end."""
    command = ("node", str(HERE / "shop.cjs"), name, url, key, str(people), str(CARTS_EACH))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=clients, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode(errors="replace")


async def assert_all_there_once(admin: asyncpg.Connection, people: int) -> None:
    rows = await rows_of(admin)
    assert Counter(row.event.type for row in rows) == {
        "customer.updated": people,
        "visit": people,
        "cart.item_added": people * CARTS_EACH,
        "order.placed": people,
        "order.paid": people,
    }
    paid = [row.event.data.amount.amount_minor for row in rows if isinstance(row.event.data, OrderPaid)]
    assert paid == [2510] * people
    added = [row.event.data.item.unit_price for row in rows if isinstance(row.event.data, CartItemAdded)]
    assert sorted({price.amount_minor for price in added if price}) == [10 * (n + 1) for n in range(CARTS_EACH)]
    assert await admin.fetchval("SELECT count(*) FROM ingest.dead_letters") == 0


@pytest.mark.parametrize("name", CLIENTS)
async def test_all_that_a_client_sends_arrives_once(
    clients: Path, settings: Settings, admin: asyncpg.Connection, tmp_path: Path, name: str
) -> None:
    async with ingest_process(settings, tmp_path / "ingest.log") as process:
        key = await create_key(admin, "demo", ["ingest"])
        await run(clients, name, process.url, key, PEOPLE)
    await assert_all_there_once(admin, PEOPLE)


async def test_a_client_over_the_limit_waits_and_loses_nothing(
    clients: Path, settings: Settings, admin: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = 6
    monkeypatch.setenv("REGULARS_RATE_PER_S", "40")
    monkeypatch.setenv("REGULARS_RATE_BURST", "20")
    async with ingest_process(settings, tmp_path / "ingest.log") as process:
        key = await create_key(admin, "demo", ["ingest"])
        await run(clients, "segment", process.url, key, people)
        async with httpx.AsyncClient(base_url=process.url) as client:
            told = (await client.get("/metrics")).text
    await assert_all_there_once(admin, people)
    refused = re.search(r'regulars_http_limited_requests_total\{limit="key"\} (\d+)', told)
    assert refused is not None
    assert int(refused[1]) > 0
