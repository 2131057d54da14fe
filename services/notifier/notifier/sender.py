"""Sends what waits by SMS and e-mail, outside any transaction, and reports each outcome as an event.

A round, for a batch of messages:
    1. claim    pending -> sending, committed before anything leaves the house
    2. render   with the addresses, asked of the vault in one go
    3. send     each channel gets its messages, with their keys
    4. settle   the outcome and the event that tells of it, in one transaction
Between 1 and 4 lies what no database can make exactly once, so each message carries its guarantee. A claim found
unfinished after its lease (a crash) is in doubt: a message at most once then fails, one at least once is sent again
with the same key. Names and addresses live in memory only, from 2 to 3.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from common.bus.bell import Bell, wait
from common.clock import Clock
from common.contracts.envelope import Data, Event
from common.contracts.notifier import DeliveryAttempted
from common.contracts.topics import NOTIFIER_WORK, REQUESTS
from common.db import outbox
from common.db.engine import is_outside
from common.ids import derived_id
from common.retry import FOREVER, Retry
from common.settings import Settings
from common.shops import Shop
from notifier import store
from notifier.channels.port import Channel, Deferred, Outcome, Outgoing, Refused, Sent
from notifier.contacts import FIELDS, NOBODY, Contact, Contacts, VaultAway
from notifier.domain.render import Text, Unrenderable, sms_text
from notifier.store import Claimed, Key, Recovered, Settled
from notifier.wording import Wording

BATCH_MAX_MESSAGES = 200
LEASE_S = 120  # longer than any round takes: see the bounds of contacts and channels/smtp
RECOVER_EVERY_S = 10.0
# Of one message: after 1 s, 4 s, 16 s ... at most 5 min apart, together about half an hour.
TRIES = Retry(first_ms=1_000, factor=4.0, max_ms=300_000, max_tries=10, jitter=0.2)
# Of an idle sender: soon after the bell, since the road has yet to decide what journeys asked for, then rarely.
LOOK = Retry(first_ms=10, factor=2.0, max_ms=1_000, max_tries=FOREVER)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # before anything is due
LATE_COMMIT = timedelta(seconds=60)  # a row may become visible so long after the moment it is due from
CRASHED = "its sender did not come back"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """There is nothing to send the message to."""

    reason: str


Attempt = Outcome | Unaddressed


class Sender:
    """`run` until cancelled; several may run at the same time, in any number of processes."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        wording: Wording,
        contacts: Contacts,
        mailbox: Channel,
        smtp: Channel | None,
        shops: Mapping[str, Shop],
        settings: Settings,
        clock: Clock,
        bell: Bell,
    ) -> None:
        self._pool, self._wording, self._contacts, self._shops = pool, wording, contacts, shops
        self._mailbox, self._smtp = mailbox, smtp
        self._signature, self._clock, self._bell = settings.sms_signature, clock, bell
        self._floor = LONG_AGO
        self._recovered_at = float("-inf")
        self._fault: str | None = None

    def ready(self) -> str | None:
        """None while rounds succeed, else why the last one did not."""
        return self._fault

    async def run(self) -> None:
        """Round after round while there is something to send, then waits for the bell."""
        attempt = 0
        with self._bell.listen((REQUESTS.name,)) as rung:
            while True:
                if await self._tried_round():
                    attempt = 0
                    continue
                attempt += 1
                if await wait(rung, LOOK.next(attempt) or 0):
                    attempt = 0

    async def _tried_round(self) -> int:
        try:
            claimed = await self.round()
        except Exception as error:  # the one seam to database and channels; what was claimed is found by its lease
            if not is_outside(error):
                log.exception("sending failed")
            self._fault = f"sender: {type(error).__name__}"
            return 0
        self._fault = None
        return claimed

    async def round(self) -> int:
        """Claims, sends and settles one batch; returns how many messages it claimed."""
        if time.monotonic() - self._recovered_at > RECOVER_EVERY_S:
            await self._recover()
            self._recovered_at = time.monotonic()
            self._floor = LONG_AGO  # once in a while everything, in case something came later than it may
        async with self._pool.acquire() as connection:
            claimed = await store.claim(connection, BATCH_MAX_MESSAGES, self._floor)
        if claimed:
            self._floor = max(self._floor, max(message.due_at for message in claimed) - LATE_COMMIT)
            await self._settle(claimed, await self._send(claimed))
        return len(claimed)

    async def _recover(self) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            found = await store.recover(connection, LEASE_S, TRIES.max_tries, CRASHED, BATCH_MAX_MESSAGES)
            await self._report(connection, [row for row in found if row.status == "failed"])
        if found:
            log.warning("claims were left unfinished", messages=len(found))
            self._bell.ring(NOTIFIER_WORK.name)

    async def _send(self, claimed: Sequence[Claimed]) -> dict[Key, Attempt]:
        """What became of each message, one way or another."""
        attempts: dict[Key, Attempt] = {}
        contacts = await self._ask_vault(claimed)
        outgoing: list[Outgoing] = []
        for message in claimed:
            known = contacts[message.shop_id]
            if isinstance(known, Deferred):
                attempts[message.key] = known
                continue
            ready = self._render(message, known.get(message.customer_id, NOBODY))
            if isinstance(ready, Outgoing):
                outgoing.append(ready)
            else:
                attempts[message.key] = ready
        return attempts | await self._hand_over(outgoing)

    async def _ask_vault(self, claimed: Sequence[Claimed]) -> dict[str, Mapping[str, Contact] | Deferred]:
        found: dict[str, Mapping[str, Contact] | Deferred] = {}
        for shop_id in {message.shop_id for message in claimed}:
            customers = list({message.customer_id for message in claimed if message.shop_id == shop_id})
            try:
                found[shop_id] = await self._contacts.of(shop_id, customers, FIELDS)
            except VaultAway as error:
                log.warning("vault away", reason=str(error))
                found[shop_id] = Deferred(str(error))
        return found

    def _render(self, message: Claimed, contact: Contact) -> Outgoing | Attempt:
        shop = self._shops.get(message.shop_id)
        if shop is None:
            return Refused("the shop is not among those of this system")
        field = "email" if message.channel == "email" else "phone"
        to, name = contact.get(field, "").strip(), contact.get("name", "").strip()
        if not to:
            return Unaddressed(f"no {field}")
        try:
            kept = self._wording.render(shop.locale, message.template, message.params, self._signature)
            text = kept
            if message.channel == "email":
                if not kept.subject:
                    return Refused(f"template {message.template!r} has no subject, an e-mail needs one")
                if self._smtp is not None and name:
                    text = self._wording.render(shop.locale, message.template, message.params, self._signature, name)
            else:
                kept = text = Text(None, sms_text(kept, self._signature))
        except Unrenderable as error:
            return Refused(str(error))
        return Outgoing(
            shop_id=message.shop_id,
            customer_id=message.customer_id,
            message_key=message.message_key,
            channel=message.channel,
            to=to,
            name=name,
            text=text,
            kept=kept,
            locale=shop.locale,
            at=self._clock.now(),
        )

    async def _hand_over(self, outgoing: Sequence[Outgoing]) -> dict[Key, Attempt]:
        """To SMTP what goes by SMTP; to the mailbox everything that left or has no other way."""
        attempts: dict[Key, Attempt] = {}
        by_mail = [one for one in outgoing if one.channel == "email" and self._smtp is not None]
        if by_mail and self._smtp is not None:
            outcomes = await self._smtp.send(by_mail)
            attempts |= {_key(one): outcome for one, outcome in zip(by_mail, outcomes, strict=True)}
        letters = [one for one in outgoing if isinstance(attempts.get(_key(one), Sent()), Sent)]
        if letters:
            outcomes = await self._mailbox.send(letters)
            attempts |= {_key(one): outcome for one, outcome in zip(letters, outcomes, strict=True)}
        return attempts

    async def _settle(self, claimed: Sequence[Claimed], attempts: Mapping[Key, Attempt]) -> None:
        at = self._clock.now()
        rows = {message.key: _settled(message, attempts[message.key], at) for message in claimed}
        async with self._pool.acquire() as connection, connection.transaction():
            still_ours = await store.settle(connection, list(rows.values()))
            await self._report(connection, [rows[k] for k in sorted(still_ours) if rows[k].status != "pending"])
        self._bell.ring(NOTIFIER_WORK.name)

    async def _report(self, connection: asyncpg.pool.PoolConnectionProxy, rows: Sequence[Settled | Recovered]) -> None:
        at = self._clock.now()
        await outbox.write(connection, [outbox.row(NOTIFIER_WORK.name, _event(row, at)) for row in rows])


def _key(message: Outgoing) -> Key:
    return message.shop_id, message.customer_id, message.message_key


def _settled(message: Claimed, attempt: Attempt, at: datetime) -> Settled:
    status, reason, pause_s = _verdict(message, attempt)
    return Settled(*message.key, message.tries, status, reason, at if status == "sent" else None, pause_s)


def _verdict(message: Claimed, attempt: Attempt) -> tuple[str, str | None, float]:
    """Status, reason, and for a message that is tried again the pause before it, in seconds."""
    match attempt:
        case Sent():
            return "sent", None, 0.0
        case Refused(reason):
            return "failed", reason, 0.0
        case Unaddressed(reason):
            return "suppressed", reason, 0.0
        case Deferred(reason, in_doubt):
            said = store.IN_DOUBT + reason if in_doubt else reason
            if in_doubt and message.guarantee == store.AT_MOST_ONCE:
                return "failed", said, 0.0
            pause_s = TRIES.next(message.tries, "/".join(message.key))
            if pause_s is None:
                return "failed", f"{said} (given up after {message.tries} tries)", 0.0
            return "pending", said, pause_s


def _event(row: Settled | Recovered, at: datetime) -> Event[Data]:
    """The report on the claim: the same claim never gives two."""
    key: Key = (row.shop_id, row.customer_id, row.message_key)
    assert row.status in {"sent", "failed", "suppressed"}
    data = DeliveryAttempted(row.message_key, row.status, row.reason)  # type: ignore[arg-type]  # just looked at
    return Event(
        specversion="1.0",
        id=derived_id(DeliveryAttempted.TYPE, *key, str(row.tries)),
        source="regulars/notifier",
        type=data.TYPE,
        shop_id=row.shop_id,
        customer_id=row.customer_id,
        occurred_at=at,
        received_at=at,
        data=data,
    )
