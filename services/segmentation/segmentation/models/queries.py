"""All SQL that is asked about models: what they last said of a sample of the customers, or of those in a segment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from common.db.engine import Connection
from segmentation.domain.profile.state import Kept

SAMPLED = 2_000  # customers; of as few as these all are looked at
MOST_READ = 20_000  # rows of all shops, where one small shop stands among large ones

# By the primary key.
EVERYBODY = "SELECT body FROM states WHERE shop_id = $1 LIMIT $2"

# Whole pages are drawn, each as likely as any other. One of the table's statistics says how many rows there are.
DRAWN = "SELECT body FROM states TABLESAMPLE SYSTEM ($2) WHERE shop_id = $1"
ROWS = "SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'states'::regclass"


# A page of a segment, in the order of memberships_of_segment, each with what is said of it.
OF_SEGMENT = """
SELECT m.customer_id, m.since, s.body FROM memberships m JOIN states s USING (shop_id, customer_id)
WHERE m.shop_id = $1 AND m.segment = $2 AND m.customer_id > $3 ORDER BY m.customer_id LIMIT $4
"""


class Said(NamedTuple):
    """A customer of a segment, since when, and the facts that the models last said of it."""

    customer_id: str
    since: datetime
    facts: Mapping[str, Any]


class _Profile(msgspec.Struct, frozen=True):
    answers: dict[str, Kept] = {}


class _Stored(msgspec.Struct, frozen=True):
    state: _Profile
    into: str = ""


_STORED = msgspec.json.Decoder(_Stored)


async def said(connection: Connection, shop_id: str, customers: int) -> list[Mapping[str, Any]]:
    """The facts that the models last said of each customer of a sample; `customers` are how many there are."""
    if customers <= SAMPLED:
        rows = await connection.fetch(EVERYBODY, shop_id, MOST_READ)
    else:
        rows_of_all = max(customers, await connection.fetchval(ROWS))
        share = min(SAMPLED / customers, MOST_READ / rows_of_all)
        rows = await connection.fetch(DRAWN, shop_id, 100.0 * share)
    found = (_STORED.decode(row["body"]) for row in rows)
    return [_facts(stored.state) for stored in found if not stored.into]


async def of_segment(connection: Connection, shop_id: str, segment: str, after: str, limit: int) -> list[Said]:
    """Customers of a segment by id, from just after one; "" is before all."""
    rows = await connection.fetch(OF_SEGMENT, shop_id, segment, after, limit)
    return [Said(row["customer_id"], row["since"], _facts(_STORED.decode(row["body"]).state)) for row in rows]


def _facts(profile: _Profile) -> Mapping[str, Any]:
    return {name: value for kept in profile.answers.values() for name, value in kept.facts.items()}
