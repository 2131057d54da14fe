"""`regulars sources`: a shop's connections to platforms, made, listed, given another secret, asked, and removed."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
from rich.console import Console

from common.clock import parse_clock
from common.shops import load_shops
from common.web import audit
from ingest import sources
from ingest.vault import Vault
from regulars.home import Home, admin_of
from regulars.verbs.vault import vault_of

PAGE = 500

console = Console()


async def add(
    home: Home,
    shop: str,
    kind: str,
    name: str,
    options: Sequence[str],
    secret: str | None,
    rest: sources.Rest | None = None,
) -> None:
    """Makes a source and prints where the platform is to send; a secret of ours is printed this once."""
    async with _opened(home, shop) as (connection, vault, now), connection.transaction():
        told = await sources.add(connection, vault, now, shop, kind, name, dict(map(_option, options)), secret, rest)
        await audit.note(connection, audit.command(shop), "source.made", told.source_id)
    _print(told)
    if told.secret is None and secret is None:
        console.out(f"{kind} makes the secret. Until it is given, all deliveries are refused:", highlight=False)
        console.out(f"  regulars sources rotate {told.source_id} --secret-file FILE", highlight=False)


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


async def rest(home: Home, shop: str, source_id: str, access: sources.Rest | None) -> None:
    """Asks the platform from now on for what its webhooks missed, or no more."""
    async with _opened(home, shop) as (connection, vault, now), connection.transaction():
        if not await sources.ask(connection, vault, now, shop, source_id, access):
            raise ValueError(f"the shop {shop!r} has no source {source_id!r}")
        await audit.note(connection, audit.command(shop), "source.polled", source_id)
    console.out(f"{source_id} is {'asked for what webhooks miss' if access else 'asked no more'}", highlight=False)


async def remove(home: Home, shop: str, source_id: str) -> None:
    """Removes a source: what it brought stays, what comes to its address is refused."""
    async with _opened(home, shop) as (connection, _, _), connection.transaction():
        if not await sources.remove(connection, shop, source_id):
            raise ValueError(f"the shop {shop!r} has no source {source_id!r}")
        await audit.note(connection, audit.command(shop), "source.removed", source_id)
    console.out(f"{source_id} is removed", highlight=False)


def secret_of(given: str | None, file: str | None) -> str | None:
    """A secret out of a file, or out of the standard input where that is named `-`: what stands in a command can be
    read by everybody on the machine."""
    if file is None:
        return given
    if given is not None:
        raise ValueError("a secret and a file that holds it: give one of the two")
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    if not (secret := text.strip()):
        raise ValueError(f"{'the standard input' if file == '-' else file} holds no secret")
    return secret


def rest_of(url: str | None, key_file: str | None, since: datetime | None) -> sources.Rest | None:
    """How the platform's REST API is asked, if it is."""
    if url is None and key_file is None:
        return None
    key = secret_of(None, key_file)
    if url is None or key is None:
        raise ValueError("--rest-url and --rest-key-file belong together")
    return sources.rest(url, key, since)


async def show(home: Home, shop: str) -> None:
    """Lists a shop's sources and how each does."""
    async with _opened(home, shop) as (connection, _, now):
        rows: list[sources.Listed] = []
        while page := await sources.listed(connection, now, shop, rows[-1].source_id if rows else "", PAGE):
            rows += page
    for row in rows:
        last = f"{row.last_delivery_at:%F %T}" if row.last_delivery_at else "never"
        counts = f"{row.accepted} events accepted; deliveries: {row.repeated} repeated, {row.ignored} ignored, "
        counts += f"{row.refused} refused, {row.signature_failures} with a wrong signature"
        head = f"{row.source_id}  {row.kind:<12}  {row.name}".rstrip()
        words = f"  connection: {row.connection}" if row.connection is not None else ""
        console.out(f"{head}  secrets: {row.secrets}  last: {last}  {counts}{words}", highlight=False)
        for poll in row.polls:
            console.out(f"  {_told(poll)}", highlight=False)
    if not rows:
        console.print("No sources.")


@asynccontextmanager
async def _opened(home: Home, shop: str) -> AsyncIterator[tuple[asyncpg.Connection, Vault, datetime]]:
    async with home.installed() as settings:
        shops = load_shops(settings.shops)
        if shop not in shops:
            raise ValueError(f"unknown shop {shop!r}; there are {', '.join(shops)}")
        vault = vault_of(home, settings)
        connection = await asyncpg.connect(admin_of(settings), server_settings={"search_path": "ingest"})
        try:
            await vault.check(connection)
            yield connection, vault, parse_clock(settings.clock).now()
        finally:
            await connection.close()


def _told(poll: sources.Polled) -> str:
    asked = f"{poll.polled_at:%F %T}" if poll.polled_at else "never in full"
    fault = f"; failed {poll.failures} times in a row: {poll.fault}" if poll.failures else ""
    return f"{poll.resource} asked for: {asked}; {poll.found} events that no webhook had brought{fault}"


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
