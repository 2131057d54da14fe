"""Many rows at once: a table is loaded without its constraints and indexes, which are then made again as they were."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

# What the migrations have put on the table, as they would say it again.
CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'x')
"""
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
MEMORY = "SET maintenance_work_mem = '1GB'"


@asynccontextmanager
async def without_indexes(admin: asyncpg.Connection, table: str) -> AsyncIterator[None]:
    """Until the end of the context; then the table, named with its schema, is as ready as one that grew slowly."""
    constraints, indexes = await admin.fetch(CONSTRAINTS, table), await admin.fetch(INDEXES, table)
    for name, _ in constraints:
        await admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _ in indexes:
        await admin.execute(f"DROP INDEX {name}")
    yield
    await admin.execute(MEMORY)
    for name, definition in constraints:
        await admin.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        await admin.execute(definition)
    await admin.execute(f"VACUUM (ANALYZE) {table}")
    await admin.execute("CHECKPOINT")
