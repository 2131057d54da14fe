"""SQL of carts and orders: the rows of one flush are locked by one statement and written by another.

Whoever flushes later must find what it goes by in the order of transaction ids, since the bus is read in it. So a row
that a later transaction wrote, or one that was made after we looked, means the same as a repeat of its kind does: the
flush is overtaken, and is tried again with a later id.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec
from msgspec import Struct

from common.db.engine import Connection
from ingest.domain.carts import Cart
from ingest.domain.orders import Order
from ingest.store import counted, locked, save_next

CartKey = tuple[str, str, str]  # shop_id, source, cart_id
OrderKey = tuple[str, str]  # shop_id, order_id

# In key order, so that two flushes never wait for each other in a circle. Served by the primary keys, as are SAVE_*.
LOCK_CARTS = """
SELECT c.shop_id, c.source, c.cart_id, c.revision, c.body, age(c.xmin) < age(pg_current_xact_id()::xid)
FROM unnest($1::text[], $2::text[], $3::text[]) AS k (shop_id, source, cart_id)
JOIN carts c USING (shop_id, source, cart_id) ORDER BY c.shop_id, c.source, c.cart_id FOR UPDATE OF c
"""
LOCK_ORDERS = """
SELECT o.shop_id, o.order_id, o.revision, o.body, age(o.xmin) < age(pg_current_xact_id()::xid)
FROM unnest($1::text[], $2::text[]) AS k (shop_id, order_id)
JOIN orders o USING (shop_id, order_id) ORDER BY o.shop_id, o.order_id FOR UPDATE OF o
"""

# A row that is none of ours to change has another revision, and is left out of the count.
SAVE_CARTS = """
INSERT INTO carts AS c (shop_id, source, cart_id, touched_on, revision, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::int[], $6::json[]) ORDER BY 1, 2, 3
ON CONFLICT (shop_id, source, cart_id) DO UPDATE
SET touched_on = EXCLUDED.touched_on, revision = EXCLUDED.revision, body = EXCLUDED.body
WHERE c.revision = EXCLUDED.revision - 1
"""
SAVE_ORDERS = """
INSERT INTO orders AS o (shop_id, order_id, revision, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::json[]) ORDER BY 1, 2
ON CONFLICT (shop_id, order_id) DO UPDATE SET revision = EXCLUDED.revision, body = EXCLUDED.body
WHERE o.revision = EXCLUDED.revision - 1
"""

# Served by carts_touched. What a flush holds is being touched.
FORGET_CARTS = """
DELETE FROM carts WHERE (shop_id, source, cart_id) IN (
    SELECT shop_id, source, cart_id FROM carts WHERE touched_on < $1 ORDER BY touched_on LIMIT $2
    FOR UPDATE SKIP LOCKED)
"""

ORDER = "SELECT body FROM orders WHERE shop_id = $1 AND order_id = $2"

_CART = msgspec.json.Decoder(Cart)
_ORDER = msgspec.json.Decoder(Order)


class KnownCart(Struct, frozen=True):
    """A cart and how often its row was written."""

    cart: Cart | None = None
    revision: int = 0


class KnownOrder(Struct, frozen=True):
    """An order, and how often its row was written. Whose it is, is known by its name: see people/whose.py."""

    order: Order = Order()
    revision: int = 0


async def lock_carts(connection: Connection, keys: Sequence[CartKey]) -> dict[CartKey, KnownCart]:
    """Those carts that are known, locked until the transaction ends. Raises Overtaken."""
    rows = await locked(connection, LOCK_CARTS, keys)
    return {key: KnownCart(_CART.decode(body), revision) for key, revision, body in rows}


async def lock_orders(connection: Connection, keys: Sequence[OrderKey]) -> dict[OrderKey, KnownOrder]:
    """Those orders that are known, locked until the transaction ends. Raises Overtaken."""
    rows = await locked(connection, LOCK_ORDERS, keys)
    return {key: KnownOrder(_ORDER.decode(body), revision) for key, revision, body in rows}


async def save_carts(connection: Connection, carts: Mapping[CartKey, KnownCart], today: date) -> None:
    """Writes the carts, each as the next revision. Raises Overtaken."""
    rows = [(*key, today, known.revision + 1, _json(known.cart)) for key, known in carts.items()]
    await save_next(connection, SAVE_CARTS, rows)


async def save_orders(connection: Connection, orders: Mapping[OrderKey, KnownOrder]) -> None:
    """Writes the orders, each as the next revision. Raises Overtaken."""
    rows = [(*key, known.revision + 1, _json(known.order)) for key, known in orders.items()]
    await save_next(connection, SAVE_ORDERS, rows)


async def forget_carts(connection: Connection, touched_before: date, limit: int) -> int:
    """Deletes carts that nobody touched since; how many, at most `limit`."""
    return counted(await connection.execute(FORGET_CARTS, touched_before, limit))


async def order_of(connection: Connection, shop_id: str, order_id: str) -> Order | None:
    """The order to look at, or None."""
    body = await connection.fetchval(ORDER, shop_id, order_id)
    return None if body is None else _ORDER.decode(body)


def _json(value: Cart | Order | None) -> str:
    return msgspec.json.encode(value).decode()
