"""Routes of people: found by a name, explained, merged and split by an operator."""

from http.client import responses
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerMerged, CustomerSplit
from common.ids import derived_id
from common.web import audit
from common.web.auth import Caller, Reader, requires
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from ingest.api import Intake
from ingest.domain.accept import Accepted
from ingest.domain.identity import Kind
from ingest.domain.linking import ID, Name
from ingest.people import queries as people_queries
from ingest.people import store as people_store
from ingest.people.naming import Naming
from ingest.people.operated import OPERATOR
from ingest.people.queries import Apart, KnownName, Link
from ingest.vault import Vault

Operator = Annotated[Caller, Depends(requires("operate"))]


class Asked(BaseModel):
    """A name. It is personal, so it stands in a body and never in an address."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    value: Annotated[str, Field(min_length=1, max_length=254, pattern=r"^[^\x00-\x1f]+$")]


class Person(BaseModel):
    """Who it is."""

    customer_id: str


class Ids(BaseModel):
    """Who lives on, and the ids that were merged into it."""

    customer_id: str
    merged: list[str]


class Reason(BaseModel):
    """Why; kept sealed, shown to who asks whether the two are one."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]


class Into(BaseModel):
    """Who lives on."""

    model_config = ConfigDict(extra="forbid")

    into: PlainId


class Merged(BaseModel):
    """Who was merged into whom."""

    customer_id: str
    into: str


class Split(BaseModel):
    """Who is a person of its own again, and whose it was."""

    customer_id: str
    out_of: str


class SameAs(BaseModel):
    """Whether two ids are one person, and if so, step by step why."""

    same: bool
    customer_id: str | None = None
    chain: list[Link] = []
    kept_apart: Apart | None = None


def router(pool: asyncpg.Pool, intake: Intake, vault: Vault, naming: Naming) -> APIRouter:
    """People's routes."""
    routes = APIRouter(tags=["customers"])
    _add_questions(routes, pool, intake, vault, naming)
    _add_commands(routes, pool, intake, vault)
    return routes


def _add_questions(routes: APIRouter, pool: asyncpg.Pool, intake: Intake, vault: Vault, naming: Naming) -> None:

    @routes.post("/v1/customers/lookup")
    async def post_lookup(asked: Asked, caller: Reader) -> Person:
        """Whose name it is: an id of yours, a phone number, an e-mail address, a card ..."""
        name = naming.name(caller.shop_id, asked.kind, asked.value)
        if name is None:
            raise Problem(422, "Invalid request", "$.value: tells nothing about who somebody is", path="$.value")
        async with pool.acquire() as connection:
            found = await people_store.standing(connection, caller.shop_id, [name], intake.now())
            if name in found and not found[name].standing.shared:
                return Person(customer_id=found[name].standing.person)
            if name.kind == ID:
                return Person(customer_id=next(iter(await people_store.family(connection, caller.shop_id, name.value))))
        raise Problem(404, responses[404], "Many share this name." if name in found else "Nobody has this name.")

    @routes.get("/v1/customers/{customer_id:path}/identities")
    async def get_identities(
        customer_id: PlainId, caller: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[KnownName]:
        """All names of the person whose id it is, whoever they were given to; contact data masked."""
        after = Name(*(decode_cursor(cursor, Text, Text) or ("", "")))
        async with pool.acquire() as connection:
            ids = list(await people_store.family(connection, caller.shop_id, customer_id))
            rows = await people_queries.names(connection, vault, naming, caller.shop_id, ids, after, limit + 1)
        return Page.of(rows, limit, key=lambda name: (name.kind, name.kept))

    @routes.get("/v1/customers/{customer_id:path}/ids")
    async def get_ids(customer_id: PlainId, caller: Reader) -> Ids:
        """All ids of the person whose id it is: the one who lives on, and those that were merged into it."""
        async with pool.acquire() as connection:
            lives, *merged = await people_store.family(connection, caller.shop_id, customer_id)
        return Ids(customer_id=lives, merged=sorted(merged))

    @routes.get("/v1/identities/shared")
    async def get_shared(caller: Operator, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Page[KnownName]:
        """Names that would have brought more people together than they may: they count no more."""
        after = Name(*(decode_cursor(cursor, Text, Text) or ("", "")))
        async with pool.acquire() as connection:
            rows = await people_queries.shared(connection, vault, naming, caller.shop_id, after, limit + 1)
        return Page.of(rows, limit, key=lambda name: (name.kind, name.kept))

    @routes.get("/v1/customers/{customer_id:path}/same-as/{other_id:path}")
    async def get_same_as(customer_id: PlainId, other_id: PlainId, caller: Reader) -> SameAs:
        """Why two ids are one person: by which kind of name, of which events, when."""
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            one = await people_store.family(connection, caller.shop_id, customer_id)
            other = await people_store.family(connection, caller.shop_id, other_id)
            lives = next(iter(one))
            if lives in other:
                ends = (each if each in one else lives for each in (customer_id, other_id))  # a name is no step
                chain = await people_queries.chain(connection, caller.shop_id, one, *ends)
                return SameAs(same=True, customer_id=lives, chain=chain)
            return SameAs(
                same=False,
                kept_apart=await people_queries.apart(connection, vault, caller.shop_id, list(one), list(other)),
            )


def _add_commands(routes: APIRouter, pool: asyncpg.Pool, intake: Intake, vault: Vault) -> None:

    @routes.post("/v1/customers/{customer_id:path}/merge")
    async def post_merge(customer_id: PlainId, said: Into, caller: Operator) -> Merged:
        """Makes two people one, whatever the rules say; who is named in `into` lives on."""
        async with pool.acquire() as connection:
            family = await people_store.family(connection, caller.shop_id, said.into)
            gone = next(iter(await people_store.family(connection, caller.shop_id, customer_id)))
        if gone in family:
            raise Problem(409, responses[409], "The two are one person already.", path="$.into")
        async with pool.acquire() as connection:  # first: who asked is known even where it is cut short
            await audit.note(connection, caller, "people.merged", f"{customer_id} into {said.into}")
        await intake.write(OPERATOR, [_operated(intake, caller.shop_id, customer_id, CustomerMerged(said.into))], [])
        return Merged(customer_id=gone, into=next(iter(family)))

    @routes.post("/v1/customers/{customer_id:path}/split")
    async def post_split(customer_id: PlainId, said: Reason, caller: Operator) -> Split:
        """Undoes the merge of this id, and keeps the two apart from then on. What came since stays where it is."""
        async with pool.acquire() as connection:
            family = await people_store.family(connection, caller.shop_id, customer_id)
        out_of = next(iter(family))
        if out_of == customer_id or customer_id not in family:
            raise Problem(409, responses[409], "This id was not merged into another.")
        async with pool.acquire() as connection:  # first, as above
            await audit.note(connection, caller, "people.split", f"{customer_id} out of {out_of}")
        operated = _operated(intake, caller.shop_id, customer_id, CustomerSplit(out_of))
        await intake.write(OPERATOR, [operated], [])
        async with pool.acquire() as connection:
            sealed = vault.seal_letter(said.reason.encode())
            since = operated.event.received_at
            await people_queries.give_reason(connection, caller.shop_id, customer_id, since, sealed)
        return Split(customer_id=customer_id, out_of=out_of)


def _operated(intake: Intake, shop_id: str, customer_id: str, data: Data) -> Accepted:
    now = intake.now()
    event = Event(
        specversion="1.0",
        id=derived_id(OPERATOR, data.TYPE, shop_id, customer_id, now.isoformat()),
        source=OPERATOR,
        type=data.TYPE,
        shop_id=shop_id,
        customer_id=customer_id,
        occurred_at=now,
        received_at=now,
        data=data,
    )
    return Accepted(event, None, timed=False)
