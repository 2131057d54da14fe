"""Every container of ours, started by the command and in the environment that docker-compose.yml gives it."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from time import monotonic

import asyncpg
import httpx

from tests.deploy.compose import FIVE, services
from tests.deploy.containers import StandIns, data_tier, five_containers
from tests.kafka_fixture import StartKafka

ADMIN = "SELECT rolsuper, rolcreaterole, rolcanlogin FROM pg_roles WHERE rolname = 'regulars_admin'"
OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'regulars'"
WITH_PASSWORD = "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%'"
KEY = re.compile(r"rk_[0-9a-f]{8}_[A-Za-z0-9_-]{32,64}")
ORDER = {
    "id": "o1:paid",
    "type": "order.paid",
    "subject": "c1",
    "data": {"order_id": "o1", "amount": {"amount_minor": 12_900, "currency": "CNY"}},
}
DECIDED_WITHIN_S = 20.0
LOOK_EVERY_S = 0.1


async def test_compose_starts_a_house_that_works(start_kafka: StartKafka, tmp_path: Path) -> None:
    cluster = await start_kafka()
    async with data_tier(cluster.bootstrap) as stand_ins:
        await the_admin_is_no_superuser(stand_ins)
        await stand_ins.run("migrate")
        await stand_ins.run("migrate")  # as at every start
        await every_role_has_a_password(stand_ins)
        key = (await stand_ins.run("regulars", "keys", "create", "--scope", "ingest,read", "--shop", "demo")).strip()
        assert KEY.fullmatch(key)
        async with five_containers(stand_ins, tmp_path) as containers:
            for container in containers.values():
                assert await stand_ins.health(container) == 0, container.name
            headers = {"X-API-Key": key}
            async with httpx.AsyncClient(headers=headers, timeout=10) as client:
                assert (await client.post(f"{containers['ingest'].url}/v1/events", json=ORDER)).status_code == 202
                customer = await answered(client, f"{containers['segmentation'].url}/v1/customers/c1")
                assert (customer["lifecycle"], customer["monetary_minor"]) == ("new", 12_900)
            for name, container in containers.items():
                began = monotonic()
                assert await container.stop() == 0, container.log.read_text()[-4000:]
                assert timedelta(seconds=monotonic() - began) < grace(name)


async def the_admin_is_no_superuser(stand_ins: StandIns) -> None:
    superuser = await asyncpg.connect(stand_ins.postgres.dsn(database="postgres"))
    try:
        (role,) = await superuser.fetch(ADMIN)
        assert tuple(role) == (False, True, True)
        assert await superuser.fetchval(OWNER) == "regulars_admin"
    finally:
        await superuser.close()


async def every_role_has_a_password(stand_ins: StandIns) -> None:
    superuser = await asyncpg.connect(stand_ins.postgres.dsn(database="postgres"))
    try:
        rows = await superuser.fetch(WITH_PASSWORD)
    finally:
        await superuser.close()
    assert {row["rolname"] for row in rows} == {*FIVE, "regulars_admin"}


async def answered(client: httpx.AsyncClient, url: str) -> dict[str, object]:
    """What it answers as soon as it knows."""
    deadline = monotonic() + DECIDED_WITHIN_S
    while (answer := await client.get(url)).status_code == 404:
        assert monotonic() < deadline, f"{url} does not know after {DECIDED_WITHIN_S} s"
        await asyncio.sleep(LOOK_EVERY_S)  # waits: for the event's way over Kafka to another process
    found: dict[str, object] = answer.raise_for_status().json()
    return found


def grace(name: str) -> timedelta:
    """How long Docker waits before it kills."""
    text: str = services()[name]["stop_grace_period"]
    assert text.endswith("s")
    return timedelta(seconds=float(text[:-1]))
