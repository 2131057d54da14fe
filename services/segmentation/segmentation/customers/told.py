"""What was told of one customer, out of the outbox, where every fact stands in the order in which it was told."""

from datetime import datetime

import msgspec

from common.contracts.topics import MEMBERSHIPS
from common.db.engine import Connection
from common.db.outbox import place_of
from segmentation.customers.timeline import Entry, FactPlace

# By outbox_of_customer, all of the customer's facts: a few hundred in years. (xid, id) is the order of telling.
FACTS = f"""
SELECT xid::text::bigint AS xid, id, body FROM outbox
WHERE topic = '{MEMBERSHIPS.name}' AND key = $1
    AND ($2::bigint IS NULL OR (xid, id) < ($2::bigint::text::xid8, $3::bigint))
ORDER BY outbox.xid DESC, id DESC LIMIT $4
"""


class _Told(msgspec.Struct, frozen=True):
    """Of a fact what is shown; the rest of its envelope is for the bus."""

    id: str
    type: str
    time: datetime
    data: dict[str, object]


_TOLD = msgspec.json.Decoder(_Told)


async def facts(
    connection: Connection,
    shop_id: str,
    customer_id: str,
    before: FactPlace | None,
    limit: int,
    erased_at: datetime | None,
) -> list[Entry]:
    """The newest facts told before that place, newest first; of who was erased, those told since."""
    _, _, key = place_of(MEMBERSHIPS.name, shop_id, customer_id)
    rows = await connection.fetch(FACTS, key, *(before or (None, None)), limit)
    told = [(_TOLD.decode(row["body"]), (row["xid"], row["id"])) for row in rows]
    since = [(one, place) for one, place in told if erased_at is None or one.time > erased_at]
    return [Entry(one.time, one.type, one.id, one.data, fact=place) for one, place in since]
