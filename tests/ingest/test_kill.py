"""Ingest in a process of its own, killed under load: what it answered is there, once; the rest can be sent again."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx

from common.settings import Settings
from common.web.auth import create_key
from tests.five_processes import Process
from tests.ingest.conftest import INTERNAL_KEY, rows_of, visit

CONNECTIONS = 32
KILL_AFTER = 400  # events answered
BATCH = 5
LONG_S = 30.0


class Senders:
    """Many connections, each sending batches one after the other until nobody answers any more."""

    def __init__(self, url: str, key: str) -> None:
        self.sent: list[str] = []
        self.answered: set[str] = set()
        self.enough = asyncio.Event()
        self._url, self._key = url, key

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, headers={"X-API-Key": self._key}, timeout=LONG_S)

    async def send(self, connection: int) -> None:
        """What one connection sends."""
        number = 0
        async with self.client() as client:
            while True:
                ids = [f"{connection}-{number + place}" for place in range(BATCH)]
                number += BATCH
                self.sent.extend(ids)
                phone = f"+8613800138{connection:03d}"  # of one's own: who shares it is one person
                events = [visit(id_, f"c{connection}", personal={"phone": phone}) for id_ in ids]
                try:
                    answer = await client.post("/v1/events", json=events)
                except httpx.TransportError:
                    return
                assert (answer.status_code, answer.json()["accepted"]) == (202, BATCH), answer.text
                self.answered.update(ids)
                if len(self.answered) >= KILL_AFTER:
                    self.enough.set()

    async def send_all_again(self) -> tuple[int, int]:
        """Everything that was ever sent, in one request; how many were new, how many known."""
        async with self.client() as client:
            events = [visit(id_, "c" + id_.partition("-")[0]) for id_ in self.sent]
            counts = (await client.post("/v1/events", json=events)).json()
            return counts["accepted"], counts["duplicate"]


@asynccontextmanager
async def ingest_process(settings: Settings, log: Path, **more: str) -> AsyncIterator[Process]:
    """`python -m ingest serve`, ready; `more` of its environment."""
    assert settings.vault_key is not None
    environment = {
        "REGULARS_DATABASE": str(settings.database),
        "REGULARS_VAULT_KEY": settings.vault_key.get_secret_value(),
        "REGULARS_INTERNAL_KEY": INTERNAL_KEY,
        "REGULARS_LOG_LEVEL": "warning",
        **more,
    }
    process = Process("ingest", environment, log)
    process.start()
    try:
        await process.ready()
        yield process
    finally:
        await process.stop()


async def test_what_was_answered_survives_a_kill(settings: Settings, admin: asyncpg.Connection, tmp_path: Path) -> None:
    async with ingest_process(settings, tmp_path / "ingest.log") as process:
        senders = Senders(process.url, await create_key(admin, "demo", ["ingest"]))
        async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as tasks:
            for connection in range(CONNECTIONS):
                tasks.create_task(senders.send(connection))
            await senders.enough.wait()
            process.send(signal.SIGKILL)
        assert await process.stop() == -signal.SIGKILL

        written = [row.event.id for row in await rows_of(admin)]
        assert len(written) == len(set(written))
        assert senders.answered <= set(written) <= set(senders.sent)
        assert len(senders.sent) > len(senders.answered) >= KILL_AFTER
        # Each connection's events stand in the order they were sent in, and without a gap.
        for connection in range(CONNECTIONS):
            mine = [int(id_.partition("-")[2]) for id_ in written if id_.startswith(f"{connection}-")]
            assert mine == list(range(len(mine)))

        # The senders did not hear of some: they send everything again, and it is there once.
        process.start()
        await process.ready()
        assert await senders.send_all_again() == (len(senders.sent) - len(written), len(written))
        assert sorted(row.event.id for row in await rows_of(admin)) == sorted(senders.sent)
        assert await process.stop() == 0
