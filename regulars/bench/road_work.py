"""What a service's road has written of its events: so much the bare road is to write as well."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from common.contracts.envelope import Data, Event
from common.db.engine import Connection
from common.service import Service
from regulars.bench.road_stage import Counts

LEFT = "SELECT sum(octet_length(body::text)) AS size, avg((wake_at IS NOT NULL)::int) AS waking FROM states"
# All else the road writes in passing: what a table's triggers count, what an opened service notes down for itself.
OF_CUSTOMERS = """
SELECT table_name::text FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = current_schema AND table_type = 'BASE TABLE' AND column_name = 'customer_id'
    AND table_name <> 'states' ORDER BY 1
"""
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY(i.indkey), false)
FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = $1::regclass AND a.attnum > 0 ORDER BY a.attnum
"""


class Own(NamedTuple):
    """A table of the service's own: what to put into it, by how many events, and how often to change a row of it."""

    table: str
    upsert: str
    rows: list[tuple[Any, ...]]  # in the order they came
    changed: int


class Work(NamedTuple):
    """What the service's road has written of so many events."""

    events: int
    heeded: Mapping[str, type[Data]]  # by the type of event: what is worth more than a look
    said: list[tuple[str, int, str, bytes]]
    own: list[Own]
    state_bytes_each: float  # of a state, by event heeded of the customer
    wake_share: float  # of the customers
    wake_changes: float  # of the saves of such a customer


async def work_of(
    connection: Connection, service: Service[Any], events: Sequence[Event[Data]], counts: Mapping[str, Counts]
) -> Work:
    """Looks at what the service's road has left behind; on a connection of the service's role."""
    states = counts["states"]
    (left,) = await connection.fetch(LEFT)
    size, waking = float(left["size"]), float(left["waking"])
    said = await connection.fetch("SELECT topic, part, key, body FROM outbox ORDER BY xid, id")
    of_customers = [table for (table,) in await connection.fetch(OF_CUSTOMERS)]
    own = [await _own(connection, table, counts[table]) for table in of_customers if counts[table].added]
    not_hot = (states.changed - states.hot) / max(1, states.changed)
    changes = min(1.0, not_hot / waking) if waking else 0.0
    heeded = [type(event.data) for event in events if service.is_heeded(event.type)]
    return Work(
        events=len(events),
        heeded={data.TYPE: data for data in heeded},
        said=[tuple(row) for row in said],
        own=own,
        state_bytes_each=size / len(heeded),
        wake_share=waking,
        wake_changes=changes,
    )


async def _own(connection: Connection, table: str, count: Counts) -> Own:
    columns = await connection.fetch(COLUMNS, table)
    names = ", ".join(name for name, *_ in columns)
    arrays = ", ".join(f"${n}::{kind}[]" for n, (_, kind, _) in enumerate(columns, 1))
    key = ", ".join(name for name, _, is_key in columns if is_key)
    values = ", ".join(f"{name} = EXCLUDED.{name}" for name, _, is_key in columns if not is_key)
    upsert = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({arrays}) ON CONFLICT"
    upsert += f" ({key}) DO UPDATE SET {values}" if count.changed else " DO NOTHING"
    rows = [tuple(row) for row in await connection.fetch(f"SELECT {names} FROM {table} ORDER BY ctid")]
    return Own(table, upsert, rows, count.changed)
