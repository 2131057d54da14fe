"""Connections: one pool per service, under the service's own role, with every wait bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from common.settings import Settings

STATEMENT_TIMEOUT_MS = 30_000
# A forgotten open transaction would hold back every reader of every outbox (they read below the oldest one).
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
# The server keeps the plan of a prepared statement, made for tables as they were then, until it has counted them anew:
# of a table that grows from nothing, a minute too late.
PLAN_LIFETIME_S = 10

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


@asynccontextmanager
async def open_pool(settings: Settings, service: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool whose connections see the service's schema only (the role's search_path says so)."""
    password = settings.database_password
    async with asyncpg.create_pool(
        settings.database,
        user=service,
        password=password.get_secret_value() if password else None,
        min_size=1,
        max_size=settings.pool_max_connections,
        command_timeout=STATEMENT_TIMEOUT_MS / 1000,
        max_cached_statement_lifetime=PLAN_LIFETIME_S,
        server_settings={
            "application_name": f"regulars-{service}",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
            "jit": "off",  # every statement here is short; compiling one costs more than running it
        },
    ) as pool:
        yield pool


# What the server or the way to it did, not what it was asked: SQLSTATE classes 08, 25, 40, 53, 55, 57, 58.
_OUTSIDE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg's own confusion when the server dies in the middle of an answer
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
)


def is_outside(error: BaseException) -> bool:
    """True when trying the same again later may work; asyncpg's own DataError is an InterfaceError, but ours."""
    return isinstance(error, _OUTSIDE) and not isinstance(error, ValueError)
