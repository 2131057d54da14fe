"""All SQL that is asked about one customer."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from common.db import states
from common.db.engine import Connection
from common.db.states import canonical
from common.decision import Stored
from common.web.problems import Problem
from segmentation.domain.profile.state import Profile

# By the primary key. Memberships are written in the transaction of the state.
MEMBERSHIPS = "SELECT segment, since, reason FROM memberships WHERE shop_id = $1 AND customer_id = $2 ORDER BY segment"

_STORED = msgspec.json.Decoder(Stored[Profile])


class Membership(NamedTuple):
    """A segment that the customer is in, since when and why."""

    segment: str
    since: datetime
    reason: str


class Customer(NamedTuple):
    """What is known of a customer, under the id that lives on."""

    customer_id: str
    stored: Stored[Profile]


async def customer(connection: Connection, shop_id: str, customer_id: str) -> Customer:
    """The customer, by any id of it that was merged; a problem for one nothing was ever heard of."""
    lives = await canonical(connection, shop_id, customer_id)
    body = await states.body(connection, shop_id, lives)
    if body is None:
        raise Problem(404, "Unknown customer", f"nothing was ever heard of a customer {customer_id!r}")
    return Customer(lives, _STORED.decode(body))


async def memberships(connection: Connection, shop_id: str, customer_id: str) -> list[Membership]:
    """The segments that the customer is in, by name."""
    return [Membership(*row) for row in await connection.fetch(MEMBERSHIPS, shop_id, customer_id)]
