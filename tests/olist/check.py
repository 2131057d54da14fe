"""The same history four ways: the road on PostgreSQL, the road on Kafka in five processes, the simulation, and an
independent recompute, compared customer by customer. `python -m tests.olist.check FOLDER [--orders N]`."""

import argparse
import asyncio
import csv
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from time import perf_counter
from typing import Any

import asyncpg
import msgspec
from rich.console import Console

from common.contracts.envelope import Data, Event, encode
from common.db.migrate import migrate
from common.decision import Stored
from common.settings import load_settings
from common.shops import load_shops
from common.telemetry import logs
from common.web.auth import create_key
from loyalty.domain.account import Account
from regulars.drain import drained
from regulars.embedded_postgres import EmbeddedPostgres
from regulars.history import olist
from regulars.history.answer import Answer, Customer, customer_of, summary, write_customers
from regulars.history.cursor import Cursor
from regulars.history.import_verb import import_history
from regulars.history.lines import lines
from regulars.history.sending import send
from regulars.history.virtual_time import Simulation
from regulars.kafka_broker import KafkaCluster
from regulars.services import NAMES
from segmentation.domain.profile.state import Profile
from tests import memory
from tests.five_processes import five_processes

AT = datetime.fromisoformat("2018-09-01T00:00:00-03:00")
DECIDE_TIMEOUT_S = 1_800.0
STATES = "SELECT customer_id, body FROM {service}.states WHERE shop_id = $1"

Rows = dict[str, dict[str, Any]]


async def on_postgres(folder: Path, work: Path, orders: int | None) -> Rows:
    """(a) `regulars import olist`, everything in one process on the embedded PostgreSQL."""
    home = work / "postgres"
    await import_history("olist", folder, home, AT, orders, None)
    async with await EmbeddedPostgres.start(home / "postgres") as server:
        return await stored(server.dsn(), work)


async def on_kafka(events: Sequence[Event[Data]], work: Path, kafka: str) -> Rows:
    """(b) five processes and Kafka between them."""
    async with await EmbeddedPostgres.start(work / "kafka-mode") as server:
        database = server.dsn(role="role").replace("role@", "", 1)
        await migrate(load_settings(database=database, admin_database=server.dsn()), NAMES)
        key = await _key(server.dsn())
        cursor = Cursor(work / "kafka-mode", "olist", map(encode, events), AT)
        of_import = list(lines(events, cursor.id))
        clock = f"frozen:{AT.astimezone(UTC).isoformat()}"
        async with five_processes(work, database, kafka, clock) as processes, asyncio.TaskGroup() as tasks:
            watches = [tasks.create_task(process.watch()) for process in processes.values()]
            counts = await send((processes["ingest"].url, key), of_import, len(of_import), cursor, Console())
            assert counts == {"accepted": len(of_import), "duplicate": 0, "rejected": 0}, counts
            assert await drained(server.dsn(), DECIDE_TIMEOUT_S), "not everything was decided in time"
            for watch in watches:
                watch.cancel()
        return await stored(server.dsn(), work)


async def stored(admin_database: str, work: Path) -> Rows:
    """Every customer as the services have them in their tables."""
    connection = await asyncpg.connect(admin_database)
    try:
        profiles = await connection.fetch(STATES.format(service="segmentation"), olist.SHOP)
        rows = await connection.fetch(STATES.format(service="loyalty"), olist.SHOP)
        accounts: dict[str, str] = {row["customer_id"]: row["body"] for row in rows}
    finally:
        await connection.close()
    profile_of, account_of = msgspec.json.Decoder(Stored[Profile]), msgspec.json.Decoder(Stored[Account])
    customers = [
        customer_of(
            customer_id,
            profile_of.decode(body).state,
            account_of.decode(accounts[customer_id]).state if customer_id in accounts else None,
        )
        for customer_id, body in profiles
    ]
    return rows_of(customers, work)


async def recomputed_apart(folder: Path, work: Path, orders: int | None) -> tuple[Rows, dict[str, Any]]:
    """(d) in a process of its own, which shares nothing with the product but the files it reads."""
    rows, counts = work / "recomputed.csv", work / "recomputed.json"
    sample = () if orders is None else ("--orders", str(orders))
    command = (sys.executable, "-m", "tests.olist.recompute", str(folder), "--at", AT.isoformat(), *sample)
    process = await asyncio.create_subprocess_exec(
        *command, "--json", str(counts), "--customers", str(rows), stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return read_rows(rows), json.loads(counts.read_text(encoding="utf-8"))


def read_rows(path: Path) -> Rows:
    """A file of customers, by id."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def rows_of(customers: list[Customer], work: Path) -> Rows:
    """The rows as their CSV file has them, by id: what is compared is what a user would get."""
    path = work / "customers.csv"
    write_customers(Answer(AT, customers, 0, {}), path)
    return read_rows(path)


def differences(name: str, got: Rows, wanted: Rows) -> list[str]:
    """What differs, customer by customer."""
    found = [f"{name}: customer {one} only on one side" for one in got.keys() ^ wanted.keys()]
    both = sorted(got.keys() & wanted.keys())
    return found + [f"{name}: {one}: {got[one]} instead of {wanted[one]}" for one in both if got[one] != wanted[one]]


async def check(folder: Path, orders: int | None, kafka: str | None) -> int:
    """Runs all four and prints what they came to; 0 when they agree."""
    work = memory.folder()
    began = perf_counter()

    def say(text: str) -> None:
        sys.stdout.write(f"[{perf_counter() - began:7.1f} s] {text}\n")
        sys.stdout.flush()

    wanted, recomputed = await recomputed_apart(folder, work, orders)
    say(f"(d) recomputed: {len(wanted):,} customers")
    events = olist.read(folder, AT, orders)
    simulated = Simulation(load_shops(None)).run(events, AT)
    say(f"(c) simulated: {len(events):,} events")
    found = differences("simulation", rows_of(simulated.customers, work), wanted)
    if summary(simulated) != recomputed:
        found.append(f"simulation: summary differs:\n{json.dumps(summary(simulated))}\n{json.dumps(recomputed)}")
    found += differences("PostgreSQL", await on_postgres(folder, work, orders), wanted)
    say("(a) the road on PostgreSQL")
    if kafka is None:
        cluster = await KafkaCluster.start(nodes=1)
        try:
            found += differences("Kafka", await on_kafka(events, work, cluster.bootstrap), wanted)
        finally:
            await cluster.stop()
    else:
        found += differences("Kafka", await on_kafka(events, work, kafka), wanted)
    say("(b) the road on Kafka, five processes")
    for line in found[:20]:
        say(line)
    say(f"{len(found)} differences between four ways, {len(wanted):,} customers, {len(events):,} events")
    if found:
        say(f"what the four came to is kept in {work}")
    else:
        rmtree(work, ignore_errors=True)
    return int(bool(found))


async def _key(admin_database: str) -> str:
    connection = await asyncpg.connect(admin_database)
    try:
        return await create_key(connection, olist.SHOP, ("ingest", "operate"))
    finally:
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int)
    options = parser.parse_args()
    logs.configure("warning", "console")
    sys.exit(asyncio.run(check(options.folder, options.orders, load_settings().kafka)))
