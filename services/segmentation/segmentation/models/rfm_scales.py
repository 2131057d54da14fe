"""The SQL of RFM's scales: how a shop's buyers are spread, kept with every purchase, and the scales made of it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from common.db.engine import Connection
from segmentation.domain.models.rfm_scale import FIFTHS, Bound, Scale, between

# In the transaction of the decision. Whoever bought nothing more costs a look at the primary key and no write; who has
# no purchase left is no buyer.
KEEP = """
WITH now AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[])
        AS now (shop_id, customer_id, last_at, orders, amount_minor)
), gone AS (
    DELETE FROM purchasers p USING now
    WHERE (p.shop_id, p.customer_id) = (now.shop_id, now.customer_id) AND now.orders = 0
)
INSERT INTO purchasers AS p (shop_id, customer_id, last_at, orders, amount_minor)
SELECT * FROM now WHERE orders > 0
ON CONFLICT (shop_id, customer_id)
DO UPDATE SET last_at = EXCLUDED.last_at, orders = EXCLUDED.orders, amount_minor = EXCLUDED.amount_minor
WHERE (p.last_at, p.orders, p.amount_minor) IS DISTINCT FROM (EXCLUDED.last_at, EXCLUDED.orders, EXCLUDED.amount_minor)
"""

# A row per bound: the neighbours of its place in each order, and how many fifths of the way it lies between them. Sorts
# the shop's rows three times, by no more than is asked of each: seconds for a million, once a day.
SPREAD = """
WITH places AS MATERIALIZED (
    SELECT customers, (customers - 1) * part / $3 AS low, least((customers - 1) * part / $3 + 1, customers - 1) AS high,
        (customers - 1) * part % $3 AS fifths
    FROM (SELECT count(*) AS customers FROM purchasers WHERE shop_id = $1) AS counted,
        generate_series(1, $3 - 1) AS part
    WHERE customers > 0
), wanted AS (
    SELECT low AS place FROM places UNION SELECT high FROM places
), days AS MATERIALIZED (
    SELECT place, floor(extract(epoch FROM $2::timestamptz - last_at) / 86400)::bigint AS days
    FROM (SELECT last_at, row_number() OVER (ORDER BY last_at DESC) - 1 AS place
        FROM purchasers WHERE shop_id = $1) AS ranked JOIN wanted USING (place)
), money AS MATERIALIZED (
    SELECT place, amount_minor AS money
    FROM (SELECT amount_minor, row_number() OVER (ORDER BY amount_minor) - 1 AS place
        FROM purchasers WHERE shop_id = $1) AS ranked JOIN wanted USING (place)
), frequency AS MATERIALIZED (
    SELECT place, orders, customer_id
    FROM (SELECT orders, customer_id, row_number() OVER (ORDER BY orders, customer_id) - 1 AS place
        FROM purchasers WHERE shop_id = $1) AS ranked JOIN wanted USING (place)
)
SELECT customers, fifths, later.days, earlier.days AS next_days, poorer.money, richer.money AS next_money,
    frequency.orders, frequency.customer_id
FROM places
JOIN days later ON later.place = low JOIN days earlier ON earlier.place = high
JOIN money poorer ON poorer.place = low JOIN money richer ON richer.place = high
JOIN frequency ON frequency.place = high
ORDER BY low, fifths
"""

# Primary key, backwards.
NEWEST = """
SELECT due_at, published_at, revision, customers, days, orders, orders_from, money
FROM rfm_scales WHERE shop_id = $1 ORDER BY due_at DESC LIMIT 1
"""
ADD = """
INSERT INTO rfm_scales (shop_id, due_at, published_at, revision, customers, days, orders, orders_from, money)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# All but the newest ones; primary key.
FORGET = """
DELETE FROM rfm_scales WHERE shop_id = $1
    AND due_at < (SELECT due_at FROM rfm_scales WHERE shop_id = $1 ORDER BY due_at DESC OFFSET $2 LIMIT 1)
"""
KEPT = 400  # scales of a shop: of more than a year, where there is one a day
# Of several processes one makes the scale, and the others find it made. Takes no transaction id: while the buyers are
# sorted nobody's outbox has to wait for us.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rfm_scales:' || $1, 0))"


class Published(Struct, frozen=True):
    """A scale, when it was to be and was made, and of how many buyers."""

    due_at: datetime
    published_at: datetime
    revision: int  # of the shop's rulebook, at which the scale came to be as it is
    customers: int
    scale: Scale


Buyer = tuple[str, str, datetime | None, int, int]  # shop, customer, last purchase, their number, amount


async def keep(connection: Connection, customers: Sequence[Buyer]) -> None:
    """The customers as they are now, each named once; who has no purchase has None, 0, 0."""
    if customers:
        await connection.execute(KEEP, *zip(*sorted(customers, key=lambda each: each[:2]), strict=True))


async def spread(connection: Connection, shop_id: str, at: datetime) -> tuple[int, Scale] | None:
    """How many buyers the shop has, and the scale that parts them into fifths at an instant; None where nobody is."""
    rows = await connection.fetch(SPREAD, shop_id, at, FIFTHS)
    if not rows:
        return None
    parts = [Fraction(row["fifths"], FIFTHS) for row in rows]
    scale = Scale(
        days=tuple(between(row["days"], row["next_days"], part) for row, part in zip(rows, parts, strict=True)),
        orders=tuple(Bound(row["orders"], row["customer_id"]) for row in rows),
        money=tuple(between(row["money"], row["next_money"], part) for row, part in zip(rows, parts, strict=True)),
    )
    return rows[0]["customers"], scale


async def newest(connection: Connection, shop_id: str) -> Published | None:
    """The scale that was published last."""
    row = await connection.fetchrow(NEWEST, shop_id)
    if row is None:
        return None
    scale = Scale(
        days=tuple(map(Fraction, row["days"])),
        orders=tuple(map(Bound, row["orders"], row["orders_from"])),
        money=tuple(map(Fraction, row["money"])),
    )
    return Published(row["due_at"], row["published_at"], row["revision"], row["customers"], scale)


async def lock(connection: Connection, shop_id: str) -> None:
    """Waits until nobody else makes a scale for the shop; until the end of the transaction nobody does."""
    await connection.execute(LOCK, shop_id)


async def add(connection: Connection, shop_id: str, published: Published) -> None:
    """One more, under the lock, of a due time that has none."""
    scale = published.scale
    await connection.execute(
        ADD,
        shop_id,
        published.due_at,
        published.published_at,
        published.revision,
        published.customers,
        list(map(_decimal, scale.days)),
        [bound.orders for bound in scale.orders],
        [bound.customer_id for bound in scale.orders],
        list(map(_decimal, scale.money)),
    )
    await connection.execute(FORGET, shop_id, KEPT - 1)


def _decimal(bound: Fraction) -> Decimal:
    """A number of fifths has one place after the point, at most."""
    return Decimal(bound.numerator) / Decimal(bound.denominator)
