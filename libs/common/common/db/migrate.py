"""Roles, schemas and migrations: makes an empty database, or one of any earlier version, fit for the services."""

from importlib.resources import files

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from common.contracts.topics import INGEST_EVENTS
from common.db.tables import READERS
from common.settings import Settings
from common.web.audit import AUDIT_DDL
from common.web.auth import ACCESS_DDL

ONE_MIGRATION_AT_A_TIME = 7_246_001  # advisory lock key


async def migrate(settings: Settings, services: tuple[str, ...]) -> None:
    """Brings the schemas of the named services to the newest version; safe to run again and at the same time."""
    admin = await asyncpg.connect(settings.admin_database or settings.database)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", ONE_MIGRATION_AT_A_TIME)
        await _make_role(admin, READERS, login=None)
        for service in services:
            await _make_role(admin, service, login=_password(settings))
            await _make_schema(admin, service)
        await admin.execute(ACCESS_DDL + AUDIT_DDL)
        await admin.execute(f"GRANT USAGE ON SCHEMA access TO {READERS}")
        await admin.execute(f"GRANT SELECT ON access.api_keys TO {READERS}")
        await admin.execute(f"GRANT SELECT, INSERT ON access.audit TO {READERS}")  # and no other right: it only grows
        if (edge := INGEST_EVENTS.owner) in services:  # whose routes make and revoke keys
            await admin.execute(f"GRANT INSERT, UPDATE (revoked_at) ON access.api_keys TO {edge}")
        for service in services:
            await _upgrade(settings, service)
    finally:
        await admin.close()


def _password(settings: Settings) -> str:
    return settings.database_password.get_secret_value() if settings.database_password else ""


async def _make_role(admin: asyncpg.Connection, role: str, login: str | None) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await admin.execute(f"CREATE ROLE {role} {'NOLOGIN' if login is None else 'LOGIN'}")
    if login is not None:
        if login:  # without one in the settings, whatever it has stays
            secret = await admin.fetchval("SELECT quote_literal($1::text)", login)
            await admin.execute(f"ALTER ROLE {role} PASSWORD {secret}")
        await admin.execute(f"GRANT {READERS} TO {role}")


async def _make_schema(admin: asyncpg.Connection, service: str) -> None:
    user = await admin.fetchval("SELECT quote_ident(current_user)")
    database = await admin.fetchval("SELECT quote_ident(current_database())")
    await admin.execute(f"GRANT {service} TO {user}")  # a managed server's admin is no superuser
    await admin.execute(f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}")
    await admin.execute(f"GRANT USAGE ON SCHEMA {service} TO {READERS}")
    await admin.execute(f"ALTER ROLE {service} IN DATABASE {database} SET search_path = {service}")


async def _upgrade(settings: Settings, service: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("common.db") / "alembic"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(files(service) / "migrations" / "versions"))

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(settings.database, user=service, password=_password(settings) or None)

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await engine.dispose()
