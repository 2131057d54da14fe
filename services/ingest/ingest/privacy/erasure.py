"""Erasing a person: what the vault holds, and whatever was kept whole and speaks of the person; then everybody is told.

First, in bounded chunks, everything sealed under the master key is opened and looked at, since nobody noted whose it
is. Then, in one transaction, the person's keys, names, classes, consents and deliveries go, and `customer.erased` is
told of every id. Cut off before that transaction, nothing is lost that the search needs: the next try begins anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec
from cryptography.exceptions import InvalidTag

from common.bus.bell import Bell
from common.clock import Clock
from common.contracts.envelope import Data, Decoder, Event, Rejection
from common.contracts.ingest import CustomerErased
from common.contracts.topics import INGEST_EVENTS
from common.db import outbox
from common.db.engine import Connection
from common.ids import derived_id
from ingest import consents, deliveries, store
from ingest.classes import store as classes_store
from ingest.domain.accept import Identity
from ingest.people.whose import Whose
from ingest.privacy.mentions import Traits, mentions, traits
from ingest.vault import Vault

SOURCE = "edge"  # as of all that the edge itself states
CHUNK_ROWS = 200  # opened and looked at in one go

# Served by their primary keys. What a shop's letters are kept under is that shop's prefix.
LETTERS = "SELECT id, body AS sealed FROM dead_letters WHERE shop_id = $1 AND id > $2 ORDER BY id LIMIT $3"
RAWS = """
SELECT id, sealed FROM raw_deliveries WHERE shop_id = $1 AND id > $2 AND customer_id IS NULL ORDER BY id LIMIT $3
"""
DROP_LETTERS = "DELETE FROM dead_letters WHERE id = ANY($1)"
DROP_RAWS = "DELETE FROM raw_deliveries WHERE id = ANY($1)"
VALUES = "SELECT count(*) FROM vault WHERE shop_id = $1 AND customer_id = ANY($2)"
# The values go with the keys.
DROP_KEYS = "DELETE FROM vault_keys WHERE shop_id = $1 AND customer_id = ANY($2)"
# The last thing told of a customer; read backwards through the outbox's primary key.
LAST_TOLD = """
SELECT body FROM outbox WHERE topic = $1 AND part = $2 AND key = $3 ORDER BY xid DESC, id DESC LIMIT 1
"""


Opened = Callable[[bytes], bytes]
_DECODER = Decoder(INGEST_EVENTS.events)


class Erased(msgspec.Struct, frozen=True):
    """What was removed, in counts; `customer_ids` are all ids that the person went by, told as erased if `told`."""

    customer_ids: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    keys: int = 0
    values: int = 0
    names: int = 0
    statements: int = 0
    deliveries: int = 0
    dead_letters: int = 0

    def plus(self, other: "Erased") -> "Erased":
        """Both together."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Erased(*(mine + theirs for mine, theirs in pairs))


class Row(NamedTuple):
    """Something kept whole under the master key."""

    id: int
    sealed: bytes


class Eraser:
    """Erases people. What it does may be done again at any time."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, whose: Whose, clock: Clock, bell: Bell) -> None:
        self._whose = whose
        self._pool, self._vault, self._clock, self._bell = pool, vault, clock, bell

    async def erase(self, shop_id: str, customer_ids: Sequence[str], names: Sequence[Identity], cause: str) -> Erased:
        """Erases the people of these ids, and what speaks of these names. `cause` makes the ids of what is told."""
        searched: set[str] | None = None
        letters = raws = 0
        while (done := await self._finish(shop_id, customer_ids, searched, cause)) is None:
            async with self._pool.acquire() as connection:
                ids = await self._everybody(connection, shop_id, customer_ids)
                known = await self._vault.get(connection, shop_id, ids, None)
            values = [(field, value) for fields in known.values() for field, value in fields.items()]
            sought = traits([*values, *((name.kind, name.value) for name in names)])
            letters += await self._drop(LETTERS, DROP_LETTERS, shop_id, sought, self._open_letter)
            raws += await self._drop(RAWS, DROP_RAWS, shop_id, sought, self._open_raw)
            searched = (searched or set()) | set(ids)
        return done.plus(Erased(deliveries=raws, dead_letters=letters))

    async def _everybody(self, connection: Connection, shop_id: str, customer_ids: Sequence[str]) -> list[str]:
        ids = [each for one in customer_ids for each in await self._whose.ids_of(connection, shop_id, one)]
        return list(dict.fromkeys(ids))

    async def _drop(self, query: str, drop: str, shop_id: str, sought: Traits, opened: Opened) -> int:
        """Deletes what speaks of whom is sought; returns how much that was."""
        if sought == Traits():
            return 0
        count = 0
        async for rows in self._chunks(query, shop_id):
            ids = await asyncio.to_thread(_speaking, rows, sought, opened)
            if ids:
                count += int((await self._pool.execute(drop, ids)).split()[1])
        return count

    async def _chunks(self, query: str, shop_id: str) -> AsyncIterator[list[Row]]:
        last = 0
        while rows := [Row(*row) for row in await self._pool.fetch(query, shop_id, last, CHUNK_ROWS)]:
            yield rows
            last = rows[-1].id

    def _open_letter(self, sealed: bytes) -> bytes:
        return self._vault.open_letter(sealed)

    def _open_raw(self, sealed: bytes) -> bytes:
        return deliveries.opened_by_master(self._vault, sealed)

    async def _finish(
        self, shop_id: str, customer_ids: Sequence[str], searched: AbstractSet[str] | None, cause: str
    ) -> Erased | None:
        """None where somebody has joined them who was not searched for yet."""
        async with self._pool.acquire() as connection, connection.transaction():
            ids = await self._everybody(connection, shop_id, customer_ids)
            if searched is None or not searched >= set(ids):
                return None
            await connection.fetchval(store.TAKE_TRANSACTION_ID)  # before it is stamped: see flusher.py
            at = self._clock.now()
            values = await connection.fetchval(VALUES, shop_id, ids)
            told = [one for one in ids if await _is_news(connection, shop_id, one)]
            # From here on in the order in which a flush takes them, so that neither waits for the other in a circle.
            names = await self._whose.forget(connection, shop_id, ids)
            await classes_store.forget(connection, shop_id, ids, told)
            erased = Erased(
                customer_ids=tuple(ids),
                told=tuple(told),
                names=names,
                statements=await consents.forget(connection, shop_id, ids),
                deliveries=await deliveries.forget(connection, shop_id, ids),
                values=values,
                keys=int((await connection.execute(DROP_KEYS, shop_id, ids)).split()[1]),
            )
            events = [_event(shop_id, one, cause, at) for one in told]
            await outbox.write(connection, [outbox.row(INGEST_EVENTS.name, event) for event in events])
        self._bell.ring(INGEST_EVENTS.name)
        return erased


def _speaking(rows: Sequence[Row], sought: Traits, opened: Opened) -> list[int]:
    """Which of the rows speak of whom is sought."""
    found = []
    for row in rows:
        try:
            if mentions(opened(row.sealed), sought):
                found.append(row.id)
        except InvalidTag:
            continue  # nobody can read it: it tells nothing of anybody
    return found


async def _is_news(connection: Connection, shop_id: str, customer_id: str) -> bool:
    """Whether anything was told of the customer since the last erasure, if there was one."""
    place = outbox.place_of(INGEST_EVENTS.name, shop_id, customer_id)
    body = await connection.fetchval(LAST_TOLD, *place)
    last = None if body is None else _DECODER.skim(body)
    return last is not None and (isinstance(last, Rejection) or last.type != CustomerErased.TYPE)


def _event(shop_id: str, customer_id: str, cause: str, at: datetime) -> Event[Data]:
    return Event(
        specversion="1.0",
        id=derived_id(CustomerErased.TYPE, shop_id, customer_id, cause),
        source=SOURCE,
        type=CustomerErased.TYPE,
        shop_id=shop_id,
        customer_id=customer_id,
        occurred_at=at,
        received_at=at,
        data=CustomerErased(),
    )
