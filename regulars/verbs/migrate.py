"""`regulars migrate`: makes the database of REGULARS_DATABASE fit for all services."""

from common.db.migrate import migrate
from common.settings import load_settings
from regulars.home import reach
from regulars.services import NAMES


async def migrate_all() -> None:
    """Raises ValueError without REGULARS_DATABASE."""
    settings = load_settings()
    if settings.database is None:
        raise ValueError("REGULARS_DATABASE is not set; the embedded database is migrated by `regulars up`")
    await reach(settings)
    await migrate(settings, NAMES)
