"""What was told of one customer, under all of its ids, out of the outbox, where every fact ever told stands."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from common.contracts.topics import MEMBERSHIPS
from common.db.engine import Connection
from common.db.outbox import place_of
from segmentation.customers.timeline import Entry, FactPlace

# By outbox_of_customer, all facts of these ids: a few hundred in years. Of one id (xid, id) is the order of times too;
# of several it is not, since each is told of where its own partition stands.
FACTS = f"""
SELECT told.at, told.xid::text::bigint AS xid, told.id, told.body FROM (
    SELECT (convert_from(outbox.body, 'UTF8')::json ->> 'time')::timestamptz AS at, key, xid, id, body,
        whose.erased_at FROM outbox JOIN unnest($1::text[], $2::timestamptz[]) AS whose (key, erased_at) USING (key)
    WHERE topic = '{MEMBERSHIPS.name}'
) AS told
WHERE (erased_at IS NULL OR at > erased_at)
    AND ($3::timestamptz IS NULL OR (at, xid, id) < ($3::timestamptz, $4::bigint::text::xid8, $5::bigint))
ORDER BY at DESC, told.xid DESC, told.id DESC LIMIT $6
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
    rows = await connection.fetch(FACTS, keys, [*ids.values()], *(before or (None, None, None)), limit)
    return [_entry(_TOLD.decode(row["body"]), (row["at"], row["xid"], row["id"])) for row in rows]


def _entry(told: _Told, place: FactPlace) -> Entry:
    return Entry(place[0], told.type, told.id, told.data, fact=place, told_of=told.subject)
