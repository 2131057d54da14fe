"""Strikes: what each fault of the schedule does to the stage, and how it is healed."""

import asyncio
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress

import asyncpg

from common.db.engine import is_outside
from tests.chaos.schedule import Fault, Kind
from tests.chaos.sender import Sender
from tests.chaos.stage import Stage

MOMENT_S = 3.0  # so long a kill waits for the very moment it is meant for; then it strikes anyhow
LOOK_EVERY_S = 0.01
BOTH_S = 1.5  # the zombie and who stands in for it are there at the same time
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'regulars-%' ORDER BY pid"
# Whether the outbox holds more than the relay has written down.
RELAYING = """
SELECT coalesce((SELECT last_value FROM {service}.outbox_id_seq), 0)
    > coalesce((SELECT max(id) FROM {service}.readers WHERE reader = 'relay'), 0)
"""


class Faults:
    """Strikes what it is told to; two faults on the same thing come one after the other."""

    def __init__(self, stage: Stage, sender: Sender, say: Callable[[str], None]) -> None:
        self.struck: Counter[str] = Counter()
        self._stage, self._sender, self._say = stage, sender, say
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def strike(self, fault: Fault) -> None:
        """Returns when it is healed again."""
        await asyncio.sleep(fault.delay_s)  # waits: the schedule's own play
        async with self._turn[_victim(fault)]:
            self._say(str(fault))
            self.struck[fault.kind] += 1
            await self._strike(fault)

    async def _strike(self, fault: Fault) -> None:
        stage = self._stage
        match fault.kind:
            case Kind.KILL:
                await stage.kill(fault.target, fault.seconds)
            case Kind.KILL_AFTER_ANSWER:
                with suppress(TimeoutError):
                    async with asyncio.timeout(MOMENT_S):
                        await self._sender.answered.wait()
                await stage.kill(fault.target, fault.seconds)
            case Kind.KILL_RELAYING:
                await self._until_relaying(fault.target)
                await stage.kill(fault.target, fault.seconds)
            case Kind.PAUSE:
                await self._pause(fault)
            case Kind.POSTGRES_KILL | Kind.POSTGRES_STOP | Kind.POSTGRES_BACKEND:
                await self._postgres(fault)
            case Kind.BROKER_KILL | Kind.TWO_BROKERS | Kind.BROKER_PAUSE:
                await self._brokers(fault)
            case Kind.CUT:
                stage.proxies[fault.target].cut()
            case Kind.STALL:
                await stage.proxies[fault.target].stall(fault.seconds)
            case Kind.CLOSE:
                await stage.proxies[fault.target].close(fault.seconds)
            case Kind.MAIL_DEFERS:
                await stage.smtp.defer(fault.seconds)
            case Kind.MAIL_HANGS_UP:
                await stage.smtp.hang_up(fault.seconds)

    async def _until_relaying(self, service: str) -> None:
        try:
            async with asyncio.timeout(MOMENT_S):
                connection = await asyncpg.connect(self._stage.postgres.dsn)
                try:
                    while not await connection.fetchval(RELAYING.format(service=service)):  # noqa: ASYNC110 - a table
                        await asyncio.sleep(LOOK_EVERY_S)  # waits: for something to be relayed
                finally:
                    connection.terminate()
        except Exception as error:
            if not is_outside(error):
                raise
            self._say(f"      the moment did not come: {type(error).__name__}")

    async def _pause(self, fault: Fault) -> None:
        """A process stands still past its session; another takes over; then both are there, until one is killed."""
        stage = self._stage
        stage.signal(fault.target, signal.SIGSTOP)
        try:
            if stage.cluster is None or fault.target == "ingest":  # alone on its folder, alone at the door
                await asyncio.sleep(fault.seconds)  # waits: as long as the schedule says
                return
            other = stage.stand_in(fault.target)
            other.start()
            try:
                await asyncio.sleep(fault.seconds)  # waits: past the session time-out
                stage.signal(fault.target, signal.SIGCONT)
                await asyncio.sleep(BOTH_S)  # waits: for the zombie to go on with what it had in hand
            finally:
                if other.ended is not None:
                    stage.tell_ended(other, f"{fault.target}'s stand-in", other.ended)
                await other.kill()
                stage.killed += 1
        finally:
            stage.signal(fault.target, signal.SIGCONT)

    async def _postgres(self, fault: Fault) -> None:
        postgres = self._stage.postgres
        self._stage.killed += 1
        if fault.kind is Kind.POSTGRES_BACKEND:
            connection = await asyncpg.connect(postgres.dsn)
            pids = [pid for (pid,) in await connection.fetch(BACKENDS)]
            await connection.close()
            if pids:
                os.kill(pids[fault.number % len(pids)], signal.SIGKILL)
            return
        await (postgres.kill() if fault.kind is Kind.POSTGRES_KILL else postgres.stop_at_once())
        await asyncio.sleep(fault.seconds)  # waits: it is down for as long as the schedule says
        await postgres.start()

    async def _brokers(self, fault: Fault) -> None:
        cluster = self._stage.cluster
        assert cluster is not None
        nodes = [int(number) for number in fault.target.split("+")]
        if fault.kind is Kind.BROKER_PAUSE:
            cluster.pause(nodes[0])
            try:
                await asyncio.sleep(fault.seconds)  # waits: past the broker's own session
            finally:
                cluster.resume(nodes[0])
            return
        for node in nodes:
            await cluster.kill(node)
            self._stage.killed += 1
        await asyncio.sleep(fault.seconds)  # waits: down for as long as the schedule says
        for node in nodes:
            await cluster.restart(node)


def _victim(fault: Fault) -> str:
    """What cannot suffer two faults at the same time."""
    if fault.kind in {Kind.BROKER_KILL, Kind.TWO_BROKERS, Kind.BROKER_PAUSE}:
        return "kafka"
    return fault.target
