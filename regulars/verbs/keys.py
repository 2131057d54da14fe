"""`regulars keys`: API keys of shops, made, listed and revoked."""

from collections.abc import Sequence
from pathlib import Path

import asyncpg
from rich.console import Console

from common.db.migrate import migrate
from common.settings import load_settings
from common.shops import load_shops
from common.web import audit
from common.web.auth import create_key, key_id_of
from ingest.access import list_keys, revoke_key
from regulars.home import Home, admin_of
from regulars.services import NAMES

console = Console()


async def create(folder: Path, shop: str, scopes: Sequence[str]) -> None:
    """Makes a key and prints it; it is not kept and can not be shown again."""
    settings = load_settings()
    shops = load_shops(settings.shops)
    if shop not in shops and scopes != ["internal"]:
        raise ValueError(f"unknown shop {shop!r}; there are {', '.join(shops)}")
    async with Home(folder).database(settings) as complete:
        await migrate(complete, NAMES)
        connection = await asyncpg.connect(admin_of(complete))
        try:
            async with connection.transaction():
                key = await create_key(connection, shop, scopes)
                await audit.note(connection, audit.command(shop), "key.made", key_id_of(key))
            print(key)
        finally:
            await connection.close()


async def show(home: Home, shop: str | None) -> None:
    """Lists the keys of a shop, or of all."""
    async with home.installed() as settings:
        connection = await asyncpg.connect(admin_of(settings))
        try:
            keys = await list_keys(connection, shop)
        finally:
            await connection.close()
    for key in keys:
        until = f"revoked {key.revoked_at:%F %T}" if key.revoked_at else "good"
        told = f"{key.key_id}  {key.shop_id:<12}  {','.join(key.scopes):<24}  made {key.created_at:%F %T}  {until}"
        console.out(told, highlight=False)
    if not keys:
        console.print("No keys.")


async def revoke(home: Home, key_id: str) -> None:
    """Revokes a key of any shop; services that remember it take it for up to 30 s more."""
    async with home.installed() as settings:
        connection = await asyncpg.connect(admin_of(settings))
        try:
            async with connection.transaction():
                shop = await revoke_key(connection, key_id, None)
                if shop is None:
                    raise ValueError(f"there is no key {key_id!r}, or it is revoked; `regulars keys list` shows all")
                await audit.note(connection, audit.command(shop), "key.revoked", key_id)
        finally:
            await connection.close()
    console.print(f"Revoked: {key_id} of {shop}. A service that remembers it takes it for up to 30 s more.")
