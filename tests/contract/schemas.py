"""Schemas that tests make for themselves, with the road's own tables, as a service's first migration makes them."""

import re
from collections.abc import Sequence

import asyncpg

from common.contracts.topics import Topic
from common.db.migrate import _make_role, _make_schema
from common.db.tables import READERS, road_v1
from common.settings import Settings


def settings_for(dsn: str, **others: object) -> Settings:
    """Settings whose services find the database of this superuser's address; short waits, since tests wait for them."""
    quick: dict[str, object] = {"poll_ms": 20, "tick_ms": 20, "tick_idle_ms": 50}
    values = quick | others | {"database": re.sub("//[^@/]*@", "//", dsn), "admin_database": dsn}
    return Settings.model_validate(values)


async def make_schema(dsn: str, name: str, owned: Sequence[Topic], *more: str) -> None:
    """A role and its schema with the road's tables, the views of the topics it owns, and `more` statements."""
    admin = await asyncpg.connect(dsn)
    try:
        await _make_role(admin, READERS, login=None)
        await _make_role(admin, name, login="")
        await _make_schema(admin, name)
    finally:
        await admin.close()
    owner = await asyncpg.connect(dsn, user=name)
    try:
        for statement in (*road_v1(tuple(owned)), *more):
            await owner.execute(statement)
    finally:
        await owner.close()
