"""`regulars vault`: another master key, while everything runs."""

from collections import Counter

import asyncpg
from rich.console import Console

from common.settings import Settings, load_settings
from common.web import audit
from ingest import rotation
from ingest.vault import Vault
from regulars.home import Home, admin_of

KEY, OLD_KEYS = "vault_key", "vault_old_keys"

console = Console()


def vault_of(home: Home, settings: Settings) -> Vault:
    """The vault with ingest's keys: those of the settings, else those that the installation keeps."""
    if settings.vault_key is not None:
        return Vault.of(settings)
    key = home.known(KEY)
    if key is None:  # one made now would open nothing
        raise ValueError("REGULARS_VAULT_KEY is not set: the vault is sealed with ingest's")
    given = {name: getattr(settings, name) for name in settings.model_fields_set} | {KEY: key}
    old = settings.vault_old_keys or home.known(OLD_KEYS)
    return Vault.of(load_settings(**(given | ({OLD_KEYS: old} if old is not None else {}))))


async def new_key(home: Home) -> None:
    """Makes an installation's next master key; the next start seals with it, and opens with those before."""
    if load_settings().vault_key is not None:
        raise ValueError(
            "REGULARS_VAULT_KEY is set, so the key is yours to make: `openssl rand -base64 32`; the one that stands "
            "there goes to REGULARS_VAULT_OLD_KEYS"
        )
    if home.known(KEY) is None:
        raise ValueError(f"no installation in {home.folder}: `regulars up` makes one, --data names another folder")
    if home.running() is not None:
        raise ValueError("Regulars is running on this folder, and knows only the key it was started with: end it first")
    home.renew(KEY, OLD_KEYS)
    console.out("There is a new master key. Start Regulars again, then: regulars vault rotate")


async def rotate(home: Home, drop_old: bool) -> int:
    """Seals with the present key all that those before it sealed. Cut short, the next run does what is left."""
    async with home.installed() as settings:
        vault = vault_of(home, settings)
        connection = await asyncpg.connect(admin_of(settings), server_settings={"search_path": "ingest"})
        resealed, unreadable = Counter[str](), Counter[str]()
        try:
            await vault.check(connection)
            await audit.note(connection, audit.command(), "vault.rotated", vault.masters.name)
            async for chunk in rotation.rewrap(connection, vault.masters):
                resealed[chunk.table] += chunk.resealed
                unreadable[chunk.table] += chunk.unreadable
            left = sum((await rotation.left(connection, vault.masters)).values()) - unreadable.total()
        finally:
            await connection.close()
    for table, count in resealed.items():
        console.out(f"{table:<18} {count} sealed anew", highlight=False)
    for table, count in (+unreadable).items():
        console.out(f"{table:<18} {count} that no key opens, left as they are", highlight=False)
    if left > 0:
        console.out(f"{left} were sealed with an older key meanwhile: an ingest still runs with it. Start it again.")
        return 1
    if drop_old and settings.vault_old_keys is None:
        home.drop(OLD_KEYS)
        console.out("Everything is sealed with the present key; the old ones are gone.")
    else:
        console.out("Everything is sealed with the present key: REGULARS_VAULT_OLD_KEYS is needed for backups alone.")
    return 0
