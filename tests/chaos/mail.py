"""What the rows of messages say was mailed, against what the mail server took."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from common.ids import derived_id
from notifier.store import AT_LEAST_ONCE, IN_DOUBT
from tests.chaos.compare import Differences, Row

DOMAIN = "localhost"  # of the default sender
MAILED = """
SELECT shop_id, customer_id, message_key, guarantee, status, coalesce(reason, '') AS reason FROM notifier.messages
WHERE channel = 'email'
"""


class Mailed(NamedTuple):
    """A row of notifier's about an e-mail."""

    shop_id: str
    customer_id: str
    message_key: str
    guarantee: str
    status: str
    reason: str

    @property
    def message_id(self) -> str:
        """As it stands in the header."""
        return f"<{derived_id(self.shop_id, self.customer_id, self.message_key)}@{DOMAIN}>"


@dataclass(frozen=True, slots=True)
class Doubts:
    """What may be: messages in doubt, those of them that did arrive, and messages at least once that came again."""

    in_doubt: int
    arrived: int
    repeated: int


async def compare_mail(connection: asyncpg.Connection, took: Counter[str]) -> tuple[Differences, Doubts]:
    """Reads the rows and judges them."""
    return judge([Mailed(*row) for row in await connection.fetch(MAILED)], took)


def judge(messages: Iterable[Mailed], took: Mapping[str, int]) -> tuple[Differences, Doubts]:
    """`sent` must have arrived; nothing arrives twice but what may; what did not leave must not have arrived."""
    found = Differences("mail server")
    in_doubt = arrived = repeated = 0
    known: set[str] = set()
    for message in messages:
        found.rows += 1
        known.add(message.message_id)
        times = took.get(message.message_id, 0)
        row = Row(message[:3], f"{message.guarantee}, {message.status} {message.reason}: arrived {times} times")
        doubtful = message.status == "failed" and message.reason.startswith(IN_DOUBT)
        in_doubt += doubtful
        arrived += doubtful and times > 0
        if message.status == "sent" and times == 0:
            found.lose(row)
        elif times > 1 and message.guarantee == AT_LEAST_ONCE:
            repeated += 1
        elif times > 1:
            found.double(row)
        elif times and message.status != "sent" and not doubtful:
            found.differ(row, Row(row.key, "not arrived"))
    for message_id in took.keys() - known:
        found.double(Row((message_id,), "mail that no row tells of"))
    return found, Doubts(in_doubt, arrived, repeated)
