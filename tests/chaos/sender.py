"""The shop's side: sends events as a webhook sender does, each again until it is accepted, some of them twice."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any
from zlib import crc32

import httpx

from common.retry import FOREVER, Retry
from tests.chaos.traffic import Line

LANES = 3  # connections of each kind of traffic; a customer's events all go by one, in order
SINGLE_SHARE = 0.4  # of requests; the others are batches
TIMEOUT_S = 3.0
AGAIN = Retry(first_ms=50, factor=2.0, max_ms=1_000, max_tries=FOREVER, jitter=0.5)
NDJSON = {"content-type": "application/x-ndjson"}
COME_AGAIN = (429, 500, 502, 503, 504)


class RefusedForGood(Exception):
    """An answer that no retry changes: nothing that is sent here deserves it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Events a second at most, the largest batch, and how badly a platform sends."""

    events_per_s: float
    batch_max: int
    repeat_every: int = 20  # events: each so-manieth is sent a second time, at the same time over another connection
    swapped_share: float = 0.1  # of neighbours, where they are of different customers


AS_IT_WAS = Pace(events_per_s=1e9, batch_max=1_000, repeat_every=10**9, swapped_share=0.0)


class Sender:
    """Sends acts to one address. `answered` is set at every 202; the counts are of the whole run."""

    def __init__(self, url: str, keys: Mapping[str, str], seed: int, pace: Pace) -> None:
        self.sent = self.repeated = self.retries = 0
        self.answered = asyncio.Event()
        self.held = asyncio.Event()  # unset: the others have to catch up first
        self.held.set()
        self._url, self._keys, self._rng, self._pace = url, keys, random.Random(seed), pace

    async def play(self, lines: Sequence[Line]) -> None:
        """Returns when all of them are accepted."""
        lanes: dict[tuple[str, bool, int], list[Line]] = {}
        for line in lines:
            lane = crc32(line.customer_id.encode()) % LANES
            lanes.setdefault((line.shop_id, line.historic, lane), []).append(line)
        # Each lane's pace is its share, so that history and live traffic go side by side to the end.
        async with asyncio.TaskGroup() as tasks:
            for lane_lines in lanes.values():
                rate = self._pace.events_per_s * len(lane_lines) / len(lines)
                tasks.create_task(self._send_lane(self._swapped(lane_lines), rate))

    def _swapped(self, lines: list[Line]) -> list[Line]:
        """Neighbours of different customers in the other order, here and there; nobody's own order changes."""
        for number in range(1, len(lines)):
            one, other = lines[number - 1 : number + 1]
            if one.customer_id != other.customer_id and self._rng.random() < self._pace.swapped_share:
                lines[number - 1 : number + 1] = other, one
        return lines

    async def _send_lane(self, lines: list[Line], rate: float) -> None:
        began, done = monotonic(), 0
        async with self._client() as client, self._client() as other_client:
            while done < len(lines):
                size = 1 if self._rng.random() < SINGLE_SHARE else self._rng.randint(2, self._pace.batch_max)
                batch = lines[done : done + size]
                early_s = began + done / rate - monotonic()
                await asyncio.sleep(max(0.0, early_s))  # waits: the schedule wants the traffic to last
                await self.held.wait()
                repeats = [line for n, line in enumerate(batch, start=done + 1) if n % self._pace.repeat_every == 0]
                # Only a customer's first event of the batch may come by the other connection at the same time: a later
                # one would overtake it. Those are sent again when the batch is accepted.
                first = {line.customer_id: line for line in reversed(batch)}
                together = [line for line in repeats if first[line.customer_id] is line]
                later = [line for line in repeats if first[line.customer_id] is not line]
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._until_accepted(client, batch))
                    if together:
                        tasks.create_task(self._until_accepted(other_client, together))
                if later:
                    await self._until_accepted(other_client, later)
                done += len(batch)
                self.sent += len(batch)
                self.repeated += len(repeats)

    async def _until_accepted(self, client: httpx.AsyncClient, batch: Sequence[Line]) -> None:
        attempt = 0
        while not await self._accepted(client, batch):
            attempt += 1
            self.retries += 1
            await asyncio.sleep(AGAIN.next(attempt, batch[0].customer_id) or 0)  # waits: as a webhook sender does

    async def _accepted(self, client: httpx.AsyncClient, batch: Sequence[Line]) -> bool:
        first = batch[0]
        body = first.body if len(batch) == 1 else b"\n".join(line.body for line in batch)
        headers = {"X-API-Key": self._keys[first.shop_id], **(NDJSON if len(batch) > 1 else {})}
        query = {"historic": "true"} if first.historic else {}
        try:
            answer = await client.post("/v1/events", params=query, content=body, headers=headers)
        except httpx.TransportError:
            return False
        if answer.status_code in COME_AGAIN:
            return False
        said: dict[str, Any] = answer.json()
        if answer.status_code != httpx.codes.ACCEPTED or said.get("rejected"):
            raise RefusedForGood(f"{answer.status_code}: {answer.text[:500]} to {body[:500]!r}")
        self.answered.set()
        self.answered.clear()
        return True

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT_S) as client:
            yield client
