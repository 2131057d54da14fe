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
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from common.bus.bell import Bell, wait
from common.clock import Clock
from common.contracts.ingest import Channel as ChannelName
from common.contracts.topics import NOTIFIER_WORK, REQUESTS
from common.db import outbox
from common.db.engine import is_outside
from common.retry import FOREVER, Retry
from common.settings import Settings
from common.shops import Shop
from notifier import store
from notifier.channels.port import Channel, Outgoing, Sent
from notifier.contacts import Contacts
from notifier.outages import VAULT, Outages
from notifier.preparation import Preparation
from notifier.settlement import TRIES, Attempt, report, settled
from notifier.store import Claimed, Key, Recovered, Settled
from notifier.wording import Wording

BATCH_MAX_MESSAGES = 50  # as many are in doubt when a sender dies with them in hand
LEASE_S = 120  # longer than any round takes: see the bounds of contacts and channels/smtp
RECOVER_EVERY_S = 10.0
STOP_S = 3.0  # for the round under way when we are told to stop
# Of an idle sender: soon after the bell, since the road has yet to decide what journeys asked for, then rarely.
LOOK = Retry(first_ms=10, factor=2.0, max_ms=1_000, max_tries=FOREVER)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # before anything is due
LATE_COMMIT = timedelta(seconds=60)  # a row may become visible so long after the moment it is due from
LEAVE_BY: tuple[ChannelName, ...] = ("sms", "email")  # all others are told where they are read
CRASHED = "its sender did not come back"

log = structlog.get_logger()


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
        self._pool, self._mailbox, self._clock, self._bell = pool, mailbox, clock, bell
        self._ways: dict[ChannelName, Channel] = {} if smtp is None else {"email": smtp}  # all others: the mailbox
        self._outages = Outages()
        self._preparation = Preparation(
            contacts, self._outages, wording, shops, settings.sms_signature, smtp is not None, clock
        )
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
        outgoing, attempts = await self._preparation.of(claimed)
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

    async def _settle(self, claimed: Sequence[Claimed], attempts: Mapping[Key, Attempt]) -> None:
        """Those that something became of."""
        if not attempts:
            return
        at = self._clock.now()
        rows = {
            message.key: settled(message, attempts[message.key], at, self._outages.pause_s((message.channel, VAULT)))
            for message in claimed
            if message.key in attempts
        }
        async with self._pool.acquire() as connection, connection.transaction():
            still_ours = await store.settle(connection, list(rows.values()))
            await self._report(connection, [rows[k] for k in sorted(still_ours) if rows[k].status != "pending"])
        self._bell.ring(NOTIFIER_WORK.name)

    async def _report(self, connection: asyncpg.pool.PoolConnectionProxy, rows: Sequence[Settled | Recovered]) -> None:
        at = self._clock.now()
        await outbox.write(connection, [outbox.row(NOTIFIER_WORK.name, report(row, at)) for row in rows])


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
