"""`regulars keys`: API keys of shops."""

from collections.abc import Sequence
from pathlib import Path

import asyncpg

from common.db.migrate import migrate
from common.settings import load_settings
from common.shops import load_shops
from common.web.auth import create_key
from regulars.home import Home, admin_of
from regulars.services import NAMES


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
            print(await create_key(connection, shop, scopes))
        finally:
            await connection.close()
