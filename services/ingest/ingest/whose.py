"""Whose a name is, and which ids are one person's: what the vault's other rooms ask of people's tables."""

from collections.abc import Collection, Mapping, Sequence

from common.db.engine import Connection
from ingest.domain.accept import Identity


class Whose:
    """Where nobody keeps names: everybody goes by one id, and a platform's buyer by its number."""

    async def ids_of(self, _connection: Connection, _shop_id: str, customer_id: str) -> list[str]:
        """All ids of the person that this is an id of, the one that lives on first."""
        return [customer_id]

    async def found(
        self, _connection: Connection, _shop_id: str, names: Collection[Identity]
    ) -> Mapping[Identity, str]:
        """The customers that names lead to, of those names that lead to any."""
        return {name: name.value for name in names if name.kind in ("id", "buyer")}

    async def names_of(self, _connection: Connection, _shop_id: str, _ids: Sequence[str]) -> list[dict[str, str]]:
        """The names that lead to these ids, as far as they are readable: for an export."""
        return []

    async def forget(self, _connection: Connection, _shop_id: str, _ids: Sequence[str]) -> int:
        """Deletes every name that leads to these ids; returns how many."""
        return 0
