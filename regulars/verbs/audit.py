"""`regulars audit`: who did what to what, and when."""

import asyncpg
from rich.console import Console

from ingest.queries import AUDIT
from regulars.home import Home, admin_of

console = Console()


async def show(home: Home, shop: str | None, limit: int) -> None:
    """Lists the last acts, of a shop or of all, the newest last."""
    async with home.installed() as settings:
        connection = await asyncpg.connect(admin_of(settings))
        try:
            rows = await connection.fetch(AUDIT, shop, None, limit)
        finally:
            await connection.close()
    for row in reversed(rows):
        told = f"{row['at']:%F %T}  {row['shop_id']:<12}  {row['who']:<8}  {row['action']:<22}  {row['target']}"
        console.out(f"{told}  {row['request_id']}".rstrip(), highlight=False)
    if not rows:
        console.print("Nothing was noted.")
