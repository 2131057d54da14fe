"""Keeps a server up: when it ends by itself (a kill, no memory left), it is started again where it was."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.retry import Retry
from regulars.embedded_postgres.failed import ServerFailed
from regulars.embedded_postgres.server import EmbeddedPostgres

log = logging.getLogger(__name__)

# Of starts in a row that failed: 11 s, in which memory or disk may come back; longer is for a person to mend.
AGAIN = Retry(first_ms=100, factor=2.0, max_ms=5_000, max_tries=8)


@asynccontextmanager
async def kept(server: EmbeddedPostgres) -> AsyncIterator[None]:
    """Starts the server again whenever it ends while the context lasts; leave the context before you stop it.

    When it does not start any more, what runs in the context is cancelled and ServerFailed comes out of it.
    """
    fault: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(_keep(server))
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised below, as it came: a group would wrap it
                fault = error
            finally:
                keeping.cancel()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # what ended the keeping, and with it all the rest
    if fault is not None:
        raise fault


async def _keep(server: EmbeddedPostgres) -> None:
    while True:
        status = await server.ended()
        log.warning("PostgreSQL has ended with status %d; it is started again", status)
        await _start_again(server)
        log.warning("PostgreSQL is back")


async def _start_again(server: EmbeddedPostgres) -> None:
    attempt = 1
    while True:
        try:
            await server.start_again()
        except (ServerFailed, OSError) as error:
            if (pause_s := AGAIN.next(attempt)) is None:
                raise ServerFailed(
                    f"PostgreSQL has ended, and {attempt} tries to start it again failed: {error}"
                ) from error
            first_line = (
                str(error).partition("\n")[0].rstrip(":")
            )  # what follows is the log's tail, which the last try shows
            log.warning("try %d of %d: %s", attempt, AGAIN.max_tries, first_line)
            await asyncio.sleep(pause_s)
            attempt += 1
        else:
            return
