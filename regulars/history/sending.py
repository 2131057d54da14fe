"""An import over HTTP, like everything else, resumable at any point.

The lines are sent in order, in batches; how far it came is written down after each answer. Killed between the two it
sends a batch again, and ingest knows the repeats by their ids.
"""

import asyncio
import gzip
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import httpx
from rich.console import Console

from common.contracts.envelope import Rejection
from common.retry import Retry
from regulars.history.cursor import Cursor
from regulars.history.lines import Line
from regulars.history.progress import Bar

BATCH_EVENTS = 1_000
BATCH_BYTES = 4_000_000  # half of what a system takes in one request, unless told otherwise
DETAIL_MAX_CHARS = 200
REQUEST_TIMEOUT_S = 60.0
RETRY_AFTER_MAX_S = 60.0
AGAIN = Retry(first_ms=200, factor=2.0, max_ms=5_000, max_tries=10)
NDJSON = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}

OnRefused = Callable[[Line, Rejection], None]


async def send(
    target: tuple[str, str],
    all_lines: Iterable[Line],
    total: int,
    cursor: Cursor,
    console: Console,
    historic: bool = True,
    on_refused: OnRefused = lambda *_: None,
) -> dict[str, int]:
    """Sends what was not sent yet to the address with the key; returns how many were accepted, known already, or
    refused. Raises OSError when the system takes nothing, for now or at all."""
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    taken = cursor.load()
    url, key = target
    with Bar(console, "Importing", total, "events", taken) as bar:
        async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=REQUEST_TIMEOUT_S) as client:
            for batch in _batches(islice(all_lines, taken, None)):
                body = gzip.compress(b"\n".join(line.body for line in batch), compresslevel=1)
                answer = await _post(client, body, historic)
                for line, result in zip(batch, answer["results"], strict=True):
                    if result["status"] == "rejected":
                        on_refused(line, Rejection("$" + result["path"].partition("]")[2], result["reason"]))
                for status in counts:
                    counts[status] += answer[status]
                taken += len(batch)
                if counts["rejected"] == len(batch) and not (counts["accepted"] or counts["duplicate"]):
                    first = next(result for result in answer["results"] if result["status"] == "rejected")
                    raise OSError(f"{url} refuses everything, the first because of {first['path']}: {first['reason']}")
                cursor.save(taken)
                bar.update(taken)
    return counts


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == BATCH_EVENTS or size + len(line.body) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.body)
    if batch:
        yield batch


async def _post(client: httpx.AsyncClient, body: bytes, historic: bool) -> dict[str, Any]:
    """Once accepted: what is temporarily away is asked again, as every webhook sender does."""
    asked = {"historic": "true"} if historic else {}
    attempt = 0
    while True:
        attempt += 1
        try:
            response = await client.post("/v1/events", params=asked, content=body, headers=NDJSON)
            if response.is_success or response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:  # nothing of it taken
                answer: dict[str, Any] = response.json()
                return answer
            fault = f"{response.status_code} {response.reason_phrase}: {_detail(response)}"
            asked_s = _retry_after(response)
            if response.status_code not in (429, 503):
                raise OSError(f"{client.base_url} answered {fault}")
        except httpx.TransportError as error:
            fault, asked_s = str(error), 0.0
        pause_s = AGAIN.next(attempt)
        if pause_s is None:
            raise OSError(f"{client.base_url} does not take events: {fault}; run the import again to go on")
        await asyncio.sleep(max(pause_s, asked_s))


def _retry_after(response: httpx.Response) -> float:
    """How long the system asks to be left alone, within a bound: it may be over its rate."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), RETRY_AFTER_MAX_S) if asked.isdecimal() else 0.0


def _detail(response: httpx.Response) -> str:
    """What a problem+json says, or the beginning of whatever else stands before the system answered."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:DETAIL_MAX_CHARS]
