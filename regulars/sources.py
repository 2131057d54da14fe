"""`regulars sources`: a shop's connections to platforms, made, listed and given another secret."""

from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import asyncpg
from rich.console import Console

from common.clock import parse_clock
from common.settings import Settings
from common.shops import load_shops
from common.web import audit
from ingest import sources
from ingest.vault import Vault
from regulars.home import Home, admin_of

PAGE = 500

console = Console()


async def add(home: Home, shop: str, kind: str, name: str, options: Sequence[str], secret: str | None) -> None:
    """Makes a source and prints where the platform is to send; a secret of ours is printed this once."""
    async with _opened(home, shop) as (connection, vault, now), connection.transaction():
        told = await sources.add(connection, vault, now, shop, kind, name, dict(map(_option, options)), secret)
        await audit.note(connection, audit.command(shop), "source.made", told.source_id)
    _print(told)
    if told.secret is None and secret is None:
        console.out(f"{kind} makes the secret. Until it is given, all deliveries are refused:", highlight=False)
        console.out(f"  regulars sources rotate {told.source_id} --secret ...", highlight=False)


async def rotate(home: Home, shop: str, source_id: str, secret: str | None, old_valid_hours: int) -> None:
    """Gives a source another secret; the one before stays good for a while."""
    async with _opened(home, shop) as (connection, vault, now), connection.transaction():
        old_valid = timedelta(hours=old_valid_hours)
        told = await sources.rotate(connection, vault, now, shop, source_id, secret, old_valid)
        if told is not None:
            await audit.note(connection, audit.command(shop), "source.rotated", source_id)
    if told is None:
        raise ValueError(f"the shop {shop!r} has no source {source_id!r}")
    _print(told)


async def show(home: Home, shop: str) -> None:
    """Lists a shop's sources and how each does."""
    async with _opened(home, shop) as (connection, _, now):
        rows = await sources.listed(connection, now, shop, "", PAGE)
    for row in rows:
        last = f"{row.last_delivery_at:%F %T}" if row.last_delivery_at else "never"
        counts = f"{row.accepted} events accepted; deliveries: {row.repeated} repeated, {row.ignored} ignored, "
        counts += f"{row.refused} refused, {row.signature_failures} with a wrong signature"
        head = f"{row.source_id}  {row.kind:<12}  {row.name}".rstrip()
        console.out(f"{head}  secrets: {row.secrets}  last: {last}  {counts}", highlight=False)
    if not rows:
        console.print("No sources.")


@asynccontextmanager
async def _opened(home: Home, shop: str) -> AsyncIterator[tuple[asyncpg.Connection, Vault, datetime]]:
    async with home.installed() as settings:
        shops = load_shops(settings.shops)
        if shop not in shops:
            raise ValueError(f"unknown shop {shop!r}; there are {', '.join(shops)}")
        vault = Vault(b64decode(_vault_key(home, settings)))
        connection = await asyncpg.connect(admin_of(settings), server_settings={"search_path": "ingest"})
        try:
            await vault.check(connection)
            await sources.check(connection, vault)
            yield connection, vault, parse_clock(settings.clock).now()
        finally:
            await connection.close()


def _vault_key(home: Home, settings: Settings) -> str:
    key = settings.vault_key.get_secret_value() if settings.vault_key else home.known("vault_key")
    if key is None:  # one made now would not be ingest's
        raise ValueError("REGULARS_VAULT_KEY is not set: secrets are sealed with ingest's")
    return key


def _option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--option {text}: expected name=value")
    return name, {"true": True, "false": False}.get(value, value)


def _print(told: sources.Told) -> None:
    console.out(f"source   {told.source_id}  ({told.kind})", highlight=False)
    console.out(f"address  <this system's public address>{told.path}", highlight=False)
    if told.secret is not None:
        console.out(f"secret   {told.secret}   (not shown again)", highlight=False)
