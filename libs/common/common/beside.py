"""What is done beside the traffic: step by step while there is more to do, and again after a while."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from common.db.engine import is_outside

log = structlog.get_logger()


async def repeat(step: Callable[[], Awaitable[bool]], every_s: float, put_off: str, breath_s: float = 0.0) -> None:
    """Until cancelled. `step` says whether there is more; between two of them is a breath. When the database is away
    the log says what is `put_off`, and the next time comes as always."""
    while True:
        more = False
        try:
            more = await step()
        except Exception as error:  # the one seam to the database
            if not is_outside(error):
                raise
            log.warning(put_off, cause=repr(error))
        await asyncio.sleep(breath_s if more else every_s)
