"""`regulars import`: a history into a running system, over HTTP like everything else, resumable at any point.

The events are sent in order, in batches; how far it came is written down after each answer. Killed between the two it
sends a batch again, and ingest knows the repeats by their ids. Each customer's history is closed by its last event.
"""

import asyncio
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from common.contracts.envelope import Data, Event, encode
from common.contracts.ingest import HistoryEnded
from common.retry import Retry
from regulars.home import write_closed

BATCH_EVENTS = 1_000
ID_CHARS = 16
DETAIL_MAX_CHARS = 200
REQUEST_TIMEOUT_S = 60.0
AGAIN = Retry(first_ms=200, factor=2.0, max_ms=5_000, max_tries=10)
NDJSON = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}


class Cursor:
    """How far an import came: a small file, tied to every byte of what is imported, up to when, and into what.

    `id` names the import, the same wherever it goes; `target` is the address of a system other than the folder's own.
    """

    def __init__(
        self, folder: Path, name: str, events: Iterable[Event[Data]], until: datetime | None, target: str = ""
    ) -> None:
        what = sha256(f"{name} {until.astimezone(UTC).isoformat() if until else ''}".encode())
        for event in events:
            what.update(encode(event))
        self.id = what.hexdigest()[:ID_CHARS]
        place = f"-{sha256(target.encode()).hexdigest()[:ID_CHARS]}" if target else ""
        self._path = folder / "imports" / f"{name}-{self.id}{place}.json"

    def load(self) -> int:
        """Lines already taken."""
        return int(json.loads(self._path.read_text())["taken"]) if self._path.exists() else 0

    def save(self, taken: int) -> None:
        """Whole or not at all."""
        write_closed(self._path, json.dumps({"taken": taken}).encode())


def lines(events: Sequence[Event[Data]], import_id: str) -> Iterator[bytes]:
    """The events as a sender would write them, each customer's closed by one history.ended: right behind the last,
    since until then the customer is in the past, and what happens live meanwhile tells nobody anything."""
    last = {event.customer_id: event.id for event in events}
    for event in events:
        customer_id = event.customer_id
        yield msgspec.json.encode(_inbound(event.id, event.source, customer_id, event.data, event.occurred_at))
        if last[customer_id] == event.id:
            ended = _inbound(f"{import_id}:{customer_id}", "import", customer_id, HistoryEnded(), None)
            yield msgspec.json.encode(ended)


async def send(url: str, key: str, all_lines: Sequence[bytes], cursor: Cursor) -> dict[str, int]:
    """Sends what was not sent yet; returns how many were accepted, known already, or refused."""
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    taken = cursor.load()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("Importing", total=len(all_lines), completed=taken)
        async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=REQUEST_TIMEOUT_S) as client:
            while taken < len(all_lines):
                batch = all_lines[taken : taken + BATCH_EVENTS]
                answer = await _post(client, gzip.compress(b"\n".join(batch), compresslevel=1))
                for status in counts:
                    counts[status] += answer[status]
                taken += len(batch)
                cursor.save(taken)
                progress.update(task, completed=taken)
    return counts


async def _post(client: httpx.AsyncClient, body: bytes) -> dict[str, Any]:
    """Once accepted: what is temporarily away is asked again, as every webhook sender does."""
    attempt = 0
    while True:
        attempt += 1
        try:
            response = await client.post("/v1/events", params={"historic": "true"}, content=body, headers=NDJSON)
            if response.is_success or response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:  # nothing of it taken
                answer: dict[str, Any] = response.json()
                return answer
            fault = f"{response.status_code} {response.reason_phrase}: {_detail(response)}"
            if response.status_code not in (429, 503):
                raise OSError(f"{client.base_url} answered {fault}")
        except httpx.TransportError as error:
            fault = str(error)
        pause_s = AGAIN.next(attempt)
        if pause_s is None:
            raise OSError(f"{client.base_url} does not take events: {fault}; run the import again to go on")
        await asyncio.sleep(pause_s)


def _detail(response: httpx.Response) -> str:
    """What a problem+json says, or the beginning of whatever else stands before the system answered."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:DETAIL_MAX_CHARS]


def _inbound(event_id: str, source: str, customer_id: str, data: Data, time: datetime | None) -> dict[str, Any]:
    said = {"id": event_id, "source": source, "type": data.TYPE, "subject": customer_id, "data": data}
    return said if time is None else said | {"time": time}
