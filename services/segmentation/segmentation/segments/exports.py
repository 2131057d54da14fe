"""Everybody in a segment as a file, however many: CSV or NDJSON, a page of rows after another.

Each page is a statement of its own, since one that takes minutes would hold back whoever reads the outboxes. So the
file is no snapshot: who comes or goes meanwhile may be in it or not, all others are in it once, in the order of ids.
"""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import asyncpg
import msgspec

from segmentation.segments import queries as segment_queries
from segmentation.segments.queries import Member

Format = Literal["csv", "ndjson"]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
ROWS_AT_A_TIME = 5_000


async def lines(pool: asyncpg.Pool, shop_id: str, segment: str, form: Format) -> AsyncIterator[bytes]:
    """The file, piece by piece."""
    if form == "csv":
        yield _csv([Member._fields])
    after = ""
    while True:
        async with pool.acquire() as connection:
            rows = await segment_queries.members(connection, shop_id, segment, after, ROWS_AT_A_TIME)
        if rows:
            yield _csv([(row.customer_id, _time(row), row.reason) for row in rows]) if form == "csv" else _ndjson(rows)
        if len(rows) < ROWS_AT_A_TIME:
            return
        after = rows[-1].customer_id


def _time(row: Member) -> str:
    return row.since.isoformat().replace("+00:00", "Z")


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def _ndjson(rows: Sequence[Member]) -> bytes:
    return msgspec.json.Encoder().encode_lines([row._asdict() for row in rows])
