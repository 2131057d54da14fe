"""`regulars dead-letters`: what could not be handled, per service, and back on the road with it."""

from base64 import b64decode
from datetime import UTC, datetime

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from common.bus import dead_letters
from common.clock import parse_clock
from common.contracts.topics import TOPICS
from common.settings import load_settings
from ingest.vault import Vault
from regulars.home import Home, admin_of
from regulars.services import NAMES

PAGE = 500
SEALED = """
UPDATE ingest.dead_letters SET replayed_at = $2 WHERE replayed_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1))
RETURNING id, shop_id, body
"""

console = Console()


async def show(home: Home, service: str | None, everything: bool) -> None:
    """Lists the letters; with `everything`, the replayed ones too."""
    table = Table("service", "id", "shop", "topic", "customer", "at", "path", "reason", "replayed")
    async with home.database(load_settings()) as settings:
        for name in (service,) if service else NAMES:
            connection = await _as_service(admin_of(settings), name)
            rows = await connection.fetch(dead_letters.LIST, 0, everything, PAGE)
            await connection.close()
            for row in rows:
                customer = row["key"].partition("/")[2]
                replayed = f"{row['replayed_at']:%F %T}" if row["replayed_at"] else ""
                cells = (str(row["id"]), row["shop_id"], row["topic"], customer, f"{row['at']:%F %T}")
                table.add_row(name, *cells, row["path"], row["reason"], replayed)
    console.print(table if table.row_count else "No dead letters.")


async def replay(home: Home, service: str, ids: list[int] | None) -> int:
    """Puts letters back: those of ingest are sent again as they came, the others go to their service's work topic."""
    async with home.database(load_settings()) as settings:
        connection = await _as_service(admin_of(settings), service)
        now = parse_clock(settings.clock).now()
        try:
            if service == "ingest":
                count = await _send_again(connection, home, settings.ingest_url, admin_of(settings), ids, now)
            else:
                work = next(topic.name for topic in TOPICS if topic.owner == service and topic.work)
                count = await dead_letters.replay(connection, work, now, ids)
        finally:
            await connection.close()
    console.print(f"{count} dead letters of {service} are back on the road.")
    return 0


async def _send_again(
    connection: asyncpg.Connection, home: Home, url: str, admin_database: str, ids: list[int] | None, now: datetime
) -> int:
    settings = load_settings()
    vault_key = settings.vault_key.get_secret_value() if settings.vault_key else home.secret("vault_key")
    vault = Vault(b64decode(vault_key))
    told = home.running()
    async with connection.transaction():  # if ingest does not answer, nothing counts as replayed
        taken = await connection.fetch(SEALED, ids, now.astimezone(UTC))
        async with httpx.AsyncClient(base_url=told.url if told else url) as client:
            for letter in sorted(taken, key=lambda row: int(row["id"])):
                key = await home.owner_key(admin_database, letter["shop_id"])
                body = vault.open_letter(bytes(letter["body"]))
                answer = await client.post("/v1/events", content=body, headers={"X-API-Key": key})
                if answer.status_code not in (202, 422):  # refused again, it is a new letter
                    raise OSError(f"ingest answered {answer.status_code}: {answer.text}")
    return len(taken)


async def _as_service(admin_database: str, name: str) -> asyncpg.Connection:
    return await asyncpg.connect(admin_database, server_settings={"search_path": name})
