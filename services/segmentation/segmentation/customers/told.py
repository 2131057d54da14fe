"""What was told of one customer, under all of its ids, out of the outbox, where every fact ever told stands."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from common.contracts.topics import MEMBERSHIPS
from common.db.engine import Connection
from common.db.outbox import place_of
from segmentation.customers.timeline import Entry, FactPlace

# By outbox_of_customer, of each of these ids the newest that were not shown yet. An id is told of under the lock of its
# state and never back in time: among its facts the order of writing is that of times too. Among those of several ids it
# is not, since each is told of where its own partition stands; so these are put in order, a page of each. What of an id
# was shown is passed over again, as it stands in the index.
FACTS = f"""
SELECT told.at, told.id, told.body FROM unnest($1::text[], $2::timestamptz[]) AS whose (key, erased_at)
CROSS JOIN LATERAL (
    SELECT at, id, body
    FROM outbox, LATERAL (SELECT (convert_from(body, 'UTF8')::json ->> 'time')::timestamptz AS at) AS written
    WHERE topic = '{MEMBERSHIPS.name}' AND key = whose.key AND (erased_at IS NULL OR at > erased_at)
        AND ($3::timestamptz IS NULL OR (at, id) < ($3::timestamptz, $4::bigint))
    ORDER BY id DESC LIMIT $5) AS told
ORDER BY told.at DESC, told.id DESC LIMIT $5
"""


class _Told(msgspec.Struct, frozen=True):
    """Of a fact what is shown; the rest of its envelope is for the bus."""

    id: str
    type: str
    subject: str
    data: dict[str, object]


_TOLD = msgspec.json.Decoder(_Told)


async def facts(
    connection: Connection,
    shop_id: str,
    ids: Mapping[str, datetime | None],
    before: FactPlace | None,
    limit: int,
) -> list[Entry]:
    """The newest facts of these ids told before that place, newest first; of an id that was erased, those told since,
    which `ids` says."""
    keys = [place_of(MEMBERSHIPS.name, shop_id, customer_id)[2] for customer_id in ids]
    rows = await connection.fetch(FACTS, keys, [*ids.values()], *(before or (None, None)), limit)
    return [_entry(_TOLD.decode(row["body"]), (row["at"], row["id"])) for row in rows]


def _entry(told: _Told, place: FactPlace) -> Entry:
    return Entry(place[0], told.type, told.id, told.data, fact=place, told_of=told.subject)
