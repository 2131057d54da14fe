"""All SQL that is asked about models: what they last said of a sample of the customers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from common.db.engine import Connection
from segmentation.domain.state import Kept

SAMPLED = 2_000  # customers; of as few as these all are looked at
MOST_READ = 20_000  # rows of all shops, where one small shop stands among large ones

# By the primary key.
EVERYBODY = "SELECT body FROM states WHERE shop_id = $1 LIMIT $2"

# Whole pages are drawn, each as likely as any other. One of the table's statistics says how many rows there are.
DRAWN = "SELECT body FROM states TABLESAMPLE SYSTEM ($2) WHERE shop_id = $1"
ROWS = "SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'states'::regclass"


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


def _facts(profile: _Profile) -> Mapping[str, Any]:
    return {name: value for kept in profile.answers.values() for name, value in kept.facts.items()}
