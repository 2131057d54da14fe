"""Sends what waits by SMS and e-mail, outside any transaction, and reports each outcome as an event.

A round, for a batch of messages:
    1. claim    pending -> sending, committed before anything leaves the house
    2. render   with the addresses, asked of the vault in one go
    3. send     each channel gets its messages, with their keys
    4. settle   the outcome and the event that tells of it, in one transaction for each channel
A way out that is closed (see outages) costs no message a try: the claim is given back.
Between 1 and 4 lies what no database can make exactly once, so each message carries its guarantee. A claim found
unfinished after its lease (a crash) is in doubt: a message at most once then fails, one at least once is sent again
with the same key. Names and addresses live in memory only, from 2 to 3.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from common.bus.bell import Bell, wait
from common.clock import Clock
from common.contracts.envelope import Data, Event
from common.contracts.ingest import Channel as ChannelName
from common.contracts.notifier import DeliveryAttempted
from common.contracts.topics import NOTIFIER_WORK, REQUESTS
from common.db import outbox
from common.db.engine import is_outside
from common.ids import derived_id
from common.retry import FOREVER, Retry
from common.settings import Settings
from common.shops import Shop
from notifier import store
from notifier.channels.port import Away, Channel, Deferred, Outcome, Outgoing, Refused, Sent
from notifier.contacts import FIELDS, NOBODY, Contact, Contacts, VaultAway
from notifier.domain.render import Text, Unrenderable, sms_text
from notifier.outages import Outages
from notifier.store import Claimed, Key, Recovered, Settled
from notifier.wording import Wording

BATCH_MAX_MESSAGES = 200
LEASE_S = 120  # longer than any round takes: see the bounds of contacts and channels/smtp
RECOVER_EVERY_S = 10.0
STOP_S = 3.0  # for the round under way when we are told to stop
# Of one message: after 1 s, 4 s, 16 s ... at most 5 min apart, together about half an hour.
TRIES = Retry(first_ms=1_000, factor=4.0, max_ms=300_000, max_tries=10, jitter=0.2)
# Of an idle sender: soon after the bell, since the road has yet to decide what journeys asked for, then rarely.
LOOK = Retry(first_ms=10, factor=2.0, max_ms=1_000, max_tries=FOREVER)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # before anything is due
LATE_COMMIT = timedelta(seconds=60)  # a row may become visible so long after the moment it is due from
VAULT = "vault"  # all that leaves needs an address, so with the vault every way is closed
LEAVE_BY: tuple[ChannelName, ...] = ("sms", "email")  # all others are told where they are read
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
        self._mailbox = mailbox
        self._ways: dict[ChannelName, Channel] = {} if smtp is None else {"email": smtp}  # all others: the mailbox
        self._outages = Outages()
        self._signature, self._clock, self._bell = settings.sms_signature, clock, bell
        self._floor = LONG_AGO
        self._recovered_at = float("-inf")
        self._fault: str | None = None

    def ready(self) -> str | None:
        """None while rounds succeed and every way is open, else why not."""
        closed = self._outages.why()
        return self._fault or (f"sender: {closed}" if closed else None)

    async def run(self) -> None:
        """Round after round while there is something to send, then waits for the bell. Cancelled, it ends its round."""
        attempt = 0
        with self._bell.listen((REQUESTS.name,)) as rung:
            while True:
                if await _to_its_end(self._tried_round()):
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
        closed = [channel for channel in LEAVE_BY if self._outages.shut(VAULT) or self._outages.shut(channel)]
        async with self._pool.acquire() as connection:
            claimed = await store.claim(connection, BATCH_MAX_MESSAGES, self._floor, closed)
        if claimed:
            if not closed:  # else something older waits
                self._floor = max(self._floor, max(message.due_at for message in claimed) - LATE_COMMIT)
            await self._send(claimed)
        return len(claimed)

    async def _recover(self) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            found = await store.recover(connection, LEASE_S, TRIES.max_tries, CRASHED, BATCH_MAX_MESSAGES)
            await self._report(connection, [row for row in found if row.status == "failed"])
        if found:
            log.warning("claims were left unfinished", messages=len(found))
            self._bell.ring(NOTIFIER_WORK.name)

    async def _send(self, claimed: Sequence[Claimed]) -> None:
        """Each channel on its own: what one of them raises leaves its messages to their lease, and no others."""
        outgoing, attempts = await self._prepare(claimed)
        await self._settle(claimed, attempts)
        raised: list[Exception] = []
        for channel in LEAVE_BY:
            its = [one for one in outgoing if one.channel == channel]
            if not its:
                continue
            try:
                outcomes = await self._ways.get(channel, self._mailbox).send(its)
                self._outages.learn(channel, outcomes)
                await self._settle(claimed, {_key(one): said for one, said in zip(its, outcomes, strict=True)})
                sent = [one for one, said in zip(its, outcomes, strict=True) if isinstance(said, Sent)]
                if sent and channel in self._ways:  # a copy; whatever becomes of it, what left is settled
                    await self._mailbox.send(sent)
            except Exception as error:  # noqa: BLE001 - raised below, when the others have had their turn
                raised.append(error)
        if raised:
            raise raised[0]

    async def _prepare(self, claimed: Sequence[Claimed]) -> tuple[list[Outgoing], dict[Key, Attempt]]:
        """The messages ready to leave, and what became of all others."""
        outgoing: list[Outgoing] = []
        attempts: dict[Key, Attempt] = {}
        contacts = await self._ask_vault(claimed)
        for message in claimed:
            known = contacts[message.shop_id]
            if isinstance(known, Away):
                attempts[message.key] = known
                continue
            try:
                ready = self._render(message, known.get(message.customer_id, NOBODY))
            except Exception as error:  # noqa: BLE001 - of this message alone; its text may hold a name
                log.warning("a message cannot be rendered", template=message.template, error=type(error).__name__)
                ready = Refused(f"it cannot be rendered: {type(error).__name__}")
            if isinstance(ready, Outgoing):
                outgoing.append(ready)
            else:
                attempts[message.key] = ready
        return outgoing, attempts

    async def _ask_vault(self, claimed: Sequence[Claimed]) -> dict[str, Mapping[str, Contact] | Away]:
        found: dict[str, Mapping[str, Contact] | Away] = {}
        for shop_id in {message.shop_id for message in claimed}:
            customers = list({message.customer_id for message in claimed if message.shop_id == shop_id})
            try:
                found[shop_id] = await self._contacts.of(shop_id, customers, FIELDS)
            except VaultAway as error:
                found[shop_id] = Away(str(error))
        self._outages.learn(VAULT, [known if isinstance(known, Away) else Sent() for known in found.values()])
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
                if "email" in self._ways and name:
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

    async def _settle(self, claimed: Sequence[Claimed], attempts: Mapping[Key, Attempt]) -> None:
        """Those that something became of."""
        if not attempts:
            return
        at = self._clock.now()
        rows = {
            message.key: self._settled(message, attempts[message.key], at)
            for message in claimed
            if message.key in attempts
        }
        async with self._pool.acquire() as connection, connection.transaction():
            still_ours = await store.settle(connection, list(rows.values()))
            await self._report(connection, [rows[k] for k in sorted(still_ours) if rows[k].status != "pending"])
        self._bell.ring(NOTIFIER_WORK.name)

    def _settled(self, message: Claimed, attempt: Attempt, at: datetime) -> Settled:
        if isinstance(attempt, Away):  # the claim is given back, and was no try
            pause_s = self._outages.pause_s((message.channel, VAULT))
            return Settled(*message.key, message.claims, message.tries - 1, "pending", attempt.reason, None, pause_s)
        status, reason, pause_s = _verdict(message, attempt)
        sent_at = at if status == "sent" else None
        return Settled(*message.key, message.claims, message.tries, status, reason, sent_at, pause_s)

    async def _report(self, connection: asyncpg.pool.PoolConnectionProxy, rows: Sequence[Settled | Recovered]) -> None:
        at = self._clock.now()
        await outbox.write(connection, [outbox.row(NOTIFIER_WORK.name, _event(row, at)) for row in rows])


async def _to_its_end(one_round: Coroutine[None, None, int]) -> int:
    """The round, settled before a stop goes through: what a round that is cut off has claimed would be in doubt."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(one_round)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait((task,), timeout=STOP_S)
            raise


def _key(message: Outgoing) -> Key:
    return message.shop_id, message.customer_id, message.message_key


def _verdict(message: Claimed, attempt: Sent | Refused | Deferred | Unaddressed) -> tuple[str, str | None, float]:
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
        id=derived_id(DeliveryAttempted.TYPE, *key, str(row.claims)),
        source="regulars/notifier",
        type=data.TYPE,
        shop_id=row.shop_id,
        customer_id=row.customer_id,
        occurred_at=at,
        received_at=at,
        data=data,
    )
