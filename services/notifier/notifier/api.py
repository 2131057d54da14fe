"""What notifier answers over HTTP: a customer's inbox, what became of all messages, and what lies in the mailbox."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel

from common.db.states import canonical
from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, RowId, decode_cursor
from notifier import queries
from notifier.domain.render import Unrenderable
from notifier.domain.sms import length_of
from notifier.wording import Wording


class InboxItem(BaseModel):
    """A message as the app shows it; `text` is null where its template has gone since."""

    message_key: str
    at: datetime
    journey: str
    step: str
    text: str | None


class MessageOut(BaseModel):
    """A message to one customer on any channel, and what became of it."""

    message_key: str
    channel: str
    purpose: str
    journey: str
    step: str
    status: str
    requested_at: datetime
    sent_at: datetime | None
    reason: str | None


class CountOut(BaseModel):
    """How many messages of a step on a channel came to a status."""

    journey: str
    step: str
    channel: str
    status: str
    count: int


class StatsOut(BaseModel):
    """All messages of the shop."""

    items: list[CountOut]


class KeptOut(BaseModel):
    """A message as it is kept in the mailbox. `encoding`, `units` and `parts` are of an SMS: what it is billed as."""

    id: int
    message_key: str
    customer_id: str
    channel: str
    to: str
    subject: str | None
    body: str
    at: datetime
    encoding: str | None
    units: int | None
    parts: int | None


def router(pool: asyncpg.Pool, wording: Wording, shops: Mapping[str, Shop], signature: str) -> APIRouter:
    """The JSON routes of notifier."""
    routes = APIRouter(prefix="/v1", tags=["notifier"])

    @routes.get("/inbox/{customer_id:path}")
    async def inbox(
        caller: Reader, customer_id: PlainId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[InboxItem]:
        """Newest first; empty for a customer who was never told anything."""
        shop = shop_of(shops, caller)
        (before,) = decode_cursor(cursor, RowId) or (None,)
        async with pool.acquire() as connection:
            customer_id = await canonical(connection, caller.shop_id, customer_id)
            rows = await queries.inbox(connection, caller.shop_id, customer_id, before, limit + 1)
        page = Page.of(rows, limit, key=lambda row: (row.number,))
        return Page(items=[_item(row, wording, shop, signature) for row in page.items], next=page.next)

    @routes.get("/customers/{customer_id:path}/messages")
    async def messages(
        caller: Reader, customer_id: PlainId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[MessageOut]:
        """Newest first, on every channel; empty for a customer who was never told anything."""
        (before,) = decode_cursor(cursor, RowId) or (None,)
        async with pool.acquire() as connection:
            rows = await queries.of_customer(connection, caller.shop_id, customer_id, before, limit + 1)
        page = Page.of(rows, limit, key=lambda row: (row.number,))
        return Page(items=[_message(row) for row in page.items], next=page.next)

    @routes.get("/messages/stats")
    async def stats(caller: Reader) -> StatsOut:
        """Counts by journey, step, channel and status."""
        async with pool.acquire() as connection:
            counts = await queries.stats(connection, caller.shop_id)
        return StatsOut(
            items=[
                CountOut(journey=n.journey, step=n.step, channel=n.channel, status=n.status, count=n.number)
                for n in counts
            ]
        )

    @routes.get("/mailbox")
    async def mailbox(caller: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Page[KeptOut]:
        """Newest first; addresses are masked and nobody is named."""
        (before,) = decode_cursor(cursor, RowId) or (None,)
        async with pool.acquire() as connection:
            rows = await queries.mailbox(connection, caller.shop_id, before, limit + 1)
        return Page.of([_kept(row) for row in rows], limit, key=lambda kept: (kept.id,))

    return routes


def _message(row: queries.Sending) -> MessageOut:
    told = row._asdict()
    told.pop("number")
    return MessageOut(**told)


def _item(row: queries.Told, wording: Wording, shop: Shop, signature: str) -> InboxItem:
    """Rendered when it is read: what is kept are parameters, and the shop's language may change."""
    try:
        text: str | None = wording.render(shop.locale, row.template, row.params, signature).body
    except Unrenderable:
        text = None
    return InboxItem(message_key=row.message_key, at=row.at, journey=row.journey, step=row.step, text=text)


def _kept(row: queries.Kept) -> KeptOut:
    length = length_of(row.body) if row.channel == "sms" else None
    return KeptOut(
        id=row.id,
        message_key=row.message_key,
        customer_id=row.customer_id,
        channel=row.channel,
        to=row.to_masked,
        subject=row.subject,
        body=row.body,
        at=row.at,
        encoding=length.encoding if length else None,
        units=length.units if length else None,
        parts=length.parts if length else None,
    )
