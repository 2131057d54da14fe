"""Whose a name is, and which ids are one person's: what other rooms ask of people's tables."""

from collections.abc import Collection, Mapping, Sequence

from common.db.engine import Connection
from ingest.domain.accept import Identity
from ingest.domain.identity import CONTACTS
from ingest.domain.linking import ID
from ingest.people import store as people_store
from ingest.people.naming import Naming

# Of names that lead to one person; what many share leads to nobody.
LEADING = """
SELECT i.kind, i.value, coalesce(p.into_id, i.customer_id) FROM identities i
JOIN unnest($2::text[], $3::text[]) AS k (kind, value) USING (kind, value)
LEFT JOIN people p ON (p.shop_id, p.customer_id) = (i.shop_id, i.customer_id) WHERE i.shop_id = $1 AND NOT i.shared
"""
NAMES = """
SELECT kind, value, customer_id, source, first_at FROM identities
WHERE shop_id = $1 AND customer_id = ANY($2) ORDER BY kind, value
"""
FORGET_NAMES = "DELETE FROM identities WHERE shop_id = $1 AND customer_id = ANY($2)"
# That they were one stays, and that they were kept apart; not by which name, nor in whose words.
FORGET_CAUSES = "UPDATE people SET value = NULL WHERE shop_id = $1 AND customer_id = ANY($2)"
FORGET_REASONS = """
UPDATE kept_apart SET reason = NULL WHERE shop_id = $1 AND (one = ANY($2) OR other = ANY($2)) AND reason IS NOT NULL
"""


class Whose:
    """Asks, and forgets. Whatever it finds may be otherwise a moment later."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming

    async def ids_of(self, connection: Connection, shop_id: str, customer_id: str) -> list[str]:
        """All ids of the person that this is an id of, the one that lives on first."""
        return list(await people_store.family(connection, shop_id, customer_id))

    async def found(self, connection: Connection, shop_id: str, names: Collection[Identity]) -> Mapping[Identity, str]:
        """The customers that names lead to, of those names that lead to any; a sender's own id leads to itself."""
        kept = {each: name for each in names if (name := self._naming.name(shop_id, each.kind, each.value)) is not None}
        columns = ([name.kind for name in kept.values()], [name.value for name in kept.values()])
        rows = await connection.fetch(LEADING, shop_id, *columns) if kept else []
        leading = {(kind, value): customer_id for kind, value, customer_id in rows}
        found = {
            each: leading[name.kind, name.value] for each, name in kept.items() if (name.kind, name.value) in leading
        }
        return {each: each.value for each in kept if each.kind == ID} | found

    async def names_of(self, connection: Connection, shop_id: str, ids: Sequence[str]) -> list[dict[str, object]]:
        """The names that lead to these ids, for an export; contact data stands there as it is in the vault alone."""
        rows = await connection.fetch(NAMES, shop_id, ids)
        return [{**row, "value": None if row["kind"] in CONTACTS else row["value"]} for row in rows]

    async def forget(self, connection: Connection, shop_id: str, ids: Sequence[str]) -> int:
        """Deletes every name that leads to these ids; returns how many."""
        names = int((await connection.execute(FORGET_NAMES, shop_id, ids)).split()[1])
        await connection.execute(FORGET_CAUSES, shop_id, ids)
        await connection.execute(FORGET_REASONS, shop_id, ids)
        return names
