"""The mailbox: keeps SMS and e-mail for looking at, where there is no provider to send them.

Nothing personal rests here: addresses are masked, the words are those without a name.
"""

from collections.abc import Sequence

import asyncpg

from notifier import store
from notifier.channels.port import Outcome, Outgoing, Sent
from notifier.domain.mask import mask_email, mask_phone


class Mailbox:
    """See port.Channel. A key that comes again is kept once, so here even at-least-once is exactly once."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def send(self, messages: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Keeps all of them in one statement."""
        async with self._pool.acquire() as connection:
            await store.keep(connection, [_kept(message) for message in messages])
        return [Sent()] * len(messages)


def _kept(message: Outgoing) -> store.Kept:
    to_masked = mask_email(message.to) if message.channel == "email" else mask_phone(message.to)
    return (
        message.shop_id,
        message.message_key,
        message.customer_id,
        message.channel,
        to_masked,
        message.kept.subject,
        message.kept.body,
        message.at,
    )
