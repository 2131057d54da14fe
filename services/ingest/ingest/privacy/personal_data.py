"""Everything that ingest has about a person, for the person: opened, in one document."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from common.contracts.envelope import Decoder, Rejection
from common.contracts.topics import INGEST_EVENTS
from common.db import outbox
from common.db.engine import Connection
from ingest import consents, deliveries
from ingest.people.whose import Whose
from ingest.vault import OF_AN_EVENT, Vault, part_of

CHUNK_ROWS = 1_000
# Served by the outbox's primary key, the whole partition: asked once for a person, not all day.
EVENTS = """
SELECT xid::text::bigint AS xid, id, body FROM outbox
WHERE topic = $1 AND part = $2 AND key = $3 AND (xid, id) > ($4::bigint::text::xid8, $5) ORDER BY xid, id LIMIT $6
"""

_DECODER = Decoder(INGEST_EVENTS.events)


async def of_person(
    connection: Connection, vault: Vault, whose: Whose, shop_id: str, customer_id: str
) -> dict[str, Any]:
    """The document; empty parts where nothing is known."""
    ids = await whose.ids_of(connection, shop_id, customer_id)
    fields = await vault.get(connection, shop_id, ids, None)
    events = [event for one in ids for event in await _events(connection, shop_id, one)]
    kept = await deliveries.of_customers(connection, vault, shop_id, ids)
    return {
        "customer_ids": ids,
        "contact": {one: _contact(values) for one, values in fields.items()},
        "identities": await whose.names_of(connection, shop_id, ids),
        "consents": await consents.of_customer(connection, vault, shop_id, customer_id, ids),
        "reviews": _reviews(fields),
        "orders": _orders(events),
        "events": events,
        "deliveries": [
            {
                "source_id": one.source_id,
                "received_at": one.received_at,
                "body": one.delivery.body.decode("utf-8", "replace") if one.delivery else None,
            }
            for one in kept
        ],
    }


def _contact(values: Mapping[str, str]) -> dict[str, str]:
    return {field: value for field, value in values.items() if part_of(field).field not in OF_AN_EVENT}


def _reviews(fields: Mapping[str, Mapping[str, str]]) -> list[dict[str, str | None]]:
    """Each once, though a merge leaves it with both."""
    texts = {
        (part.event_id, part.source): value
        for values in fields.values()
        for name, value in values.items()
        if (part := part_of(name)).field == "review_text"
    }
    return [
        {"source": source or None, "event_id": event_id, "text": text}
        for (event_id, source), text in sorted(texts.items())
    ]


def _orders(events: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """What became of each order, in the order in which it was told."""
    orders: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if (order_id := event.get("data", {}).get("order_id")) is not None:
            orders.setdefault(order_id, []).append({name: event[name] for name in ("type", "time", "data")})
    return orders


async def _events(connection: Connection, shop_id: str, customer_id: str) -> list[dict[str, Any]]:
    place = outbox.place_of(INGEST_EVENTS.name, shop_id, customer_id)
    found: list[dict[str, Any]] = []
    after = (0, 0)
    while rows := await connection.fetch(EVENTS, *place, *after, CHUNK_ROWS):
        found += [
            msgspec.json.decode(row["body"]) for row in rows if not isinstance(_DECODER.skim(row["body"]), Rejection)
        ]
        after = (rows[-1]["xid"], rows[-1]["id"])
    return found
