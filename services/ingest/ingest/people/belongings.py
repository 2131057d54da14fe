"""Whose personal data goes with whom when two people turn out to be one, and back when they were not.

What somebody brings stays sealed where it is, so that a merge can be undone. Whoever lives on gets, sealed anew, what
was lacking there; of that is remembered from whom it came, and how it looked sealed: what is told later replaces it.
"""

from collections.abc import Sequence

from msgspec import Struct

from common.db.engine import Connection
from ingest.vault import Vault

# What is lacking there, and who had it first, of those who were merged before.
LACKING = """
SELECT v.field, coalesce(b.from_id, v.customer_id) AS from_id FROM vault v
LEFT JOIN belongings b ON (b.shop_id, b.customer_id, b.field, b.digest)
    = (v.shop_id, v.customer_id, v.field, sha256(v.sealed))
WHERE v.shop_id = $1 AND v.customer_id = $2
  AND NOT EXISTS (SELECT FROM vault o WHERE (o.shop_id, o.customer_id, o.field) = (v.shop_id, $3, v.field))
"""
REMEMBER = """
INSERT INTO belongings (shop_id, customer_id, field, from_id, digest)
SELECT v.shop_id, v.customer_id, v.field, k.from_id, sha256(v.sealed) FROM vault v
JOIN unnest($3::text[], $4::text[]) AS k (field, from_id) USING (field) WHERE v.shop_id = $1 AND v.customer_id = $2
ON CONFLICT (shop_id, customer_id, field) DO UPDATE SET from_id = EXCLUDED.from_id, digest = EXCLUDED.digest
"""
# Unless something newer stands there.
TAKE_BACK = """
DELETE FROM vault v USING belongings b
WHERE (b.shop_id, b.customer_id, b.field, b.digest) = (v.shop_id, v.customer_id, v.field, sha256(v.sealed))
  AND b.shop_id = $1 AND b.from_id = ANY($2) AND b.customer_id = $3
"""
FORGET = "DELETE FROM belongings WHERE shop_id = $1 AND from_id = ANY($2) AND customer_id = $3"


class Carried(Struct, frozen=True):
    """What `gone` has in the vault is to be found with `into` too."""

    shop_id: str
    gone: str
    into: str


class Returned(Struct, frozen=True):
    """What came with `gone`, and with those merged into it before, is to be found with `out_of` no more."""

    shop_id: str
    gone: str
    out_of: str
    of: tuple[str, ...]  # gone, and those merged into it
    told_by: tuple[str, ...]  # all that are one with `out_of` and may have been given something


Move = Carried | Returned


async def move(connection: Connection, vault: Vault, moves: Sequence[Move]) -> None:
    """Carries personal data along, in the transaction that merges, before anything newer is put."""
    for each in moves:
        if isinstance(each, Carried):
            await _carry(connection, vault, each)
        else:
            for customer_id in sorted(each.told_by):
                await connection.execute(TAKE_BACK, each.shop_id, each.of, customer_id)
                await connection.execute(FORGET, each.shop_id, each.of, customer_id)


async def _carry(connection: Connection, vault: Vault, carried: Carried) -> None:
    rows = await connection.fetch(LACKING, carried.shop_id, carried.gone, carried.into)
    if not rows:
        return
    fields, first = zip(*rows, strict=True)
    values = (await vault.get(connection, carried.shop_id, [carried.gone], fields)).get(carried.gone, {})
    into = (carried.shop_id, carried.into)
    await vault.keep(connection, [(into, field, value) for field, value in values.items()])
    await connection.execute(REMEMBER, carried.shop_id, carried.into, fields, first)
