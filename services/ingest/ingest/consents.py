"""Consents: what each customer allowed or forbade, per channel and purpose; said where, when, and with what proof.

Statements may come late. The newest one counts by when it was said; of two said at once, the one that forbids. What is
older than that is kept in the history and not told: whoever listens would take it for news. Proofs lie in the vault.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel

from common.contracts.envelope import Data, Event
from common.contracts.ingest import ConsentChanged, CustomerMerged, CustomerSplit
from common.db.engine import Connection
from ingest import store
from ingest.vault import Vault, names_of

NEVER = (datetime.min.replace(tzinfo=UTC), False)
PROOF = "consent_proof"  # the vault's field

NOTE = """
INSERT INTO consent_history (shop_id, customer_id, channel, purpose, occurred_at, source, event_id, granted, via,
    received_at, told)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
    $8::bool[], $9::text[], $10::timestamptz[], $11::bool[]) ON CONFLICT DO NOTHING
"""
# A row to lock, where there is none; what it says is older than anything.
MAKE = """
INSERT INTO consents (shop_id, customer_id, channel, purpose, granted, source, event_id, occurred_at, received_at)
SELECT shop_id, customer_id, channel, purpose, true, '', '', '-infinity', '-infinity'
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (shop_id, customer_id, channel, purpose)
ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING
"""
# In the order of keys, as they are made. `overtaken`: written by a transaction that began after this one.
LOCK = """
SELECT c.*, isfinite(c.occurred_at) AS said, age(c.xmin) < age(pg_current_xact_id()::xid) AS overtaken FROM consents c
JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (shop_id, customer_id, channel, purpose)
    USING (shop_id, customer_id, channel, purpose)
ORDER BY shop_id, customer_id, channel, purpose FOR UPDATE OF c
"""
SET = """
UPDATE consents c SET granted = n.granted, via = n.via, source = n.source, event_id = n.event_id,
    occurred_at = n.occurred_at, received_at = n.received_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::text[], $8::text[],
    $9::timestamptz[], $10::timestamptz[])
    AS n (shop_id, customer_id, channel, purpose, granted, via, source, event_id, occurred_at, received_at)
WHERE (c.shop_id, c.customer_id, c.channel, c.purpose) = (n.shop_id, n.customer_id, n.channel, n.purpose)
"""
# Of one customer, out of the statements of all ids that are the customer's.
NEWEST = """
INSERT INTO consents (shop_id, customer_id, channel, purpose, granted, via, source, event_id, occurred_at, received_at)
SELECT DISTINCT ON (channel, purpose) shop_id, $2::text, channel, purpose, granted, via, source, event_id, occurred_at,
    received_at
FROM consent_history WHERE shop_id = $1 AND customer_id = ANY($3)
ORDER BY channel, purpose, occurred_at DESC, granted, received_at DESC
ON CONFLICT (shop_id, customer_id, channel, purpose) DO UPDATE SET granted = EXCLUDED.granted, via = EXCLUDED.via,
    source = EXCLUDED.source, event_id = EXCLUDED.event_id, occurred_at = EXCLUDED.occurred_at,
    received_at = EXCLUDED.received_at
WHERE (consents.occurred_at, NOT consents.granted) <= (EXCLUDED.occurred_at, NOT EXCLUDED.granted)
"""
FORGET_CURRENT = "DELETE FROM consents WHERE shop_id = $1 AND customer_id = ANY($2)"
FORGET_HISTORY = "DELETE FROM consent_history WHERE shop_id = $1 AND customer_id = ANY($2)"
CURRENT = """
SELECT DISTINCT ON (channel, purpose) channel, purpose, granted, via, source, occurred_at, received_at, event_id
FROM consents WHERE shop_id = $1 AND customer_id = ANY($2) AND isfinite(occurred_at)
ORDER BY channel, purpose, occurred_at DESC, granted
"""
HISTORY = """
SELECT customer_id, channel, purpose, granted, via, source, occurred_at, received_at, event_id, told
FROM consent_history WHERE shop_id = $1 AND customer_id = ANY($2)
ORDER BY occurred_at DESC, received_at DESC, customer_id, channel, purpose, source, event_id
"""

Place = tuple[str, str, str, str]  # shop, customer, channel, purpose


class ConsentOut(BaseModel):
    """What is so of a channel and a purpose: said by whom (`source`), through what (`via`), and when."""

    channel: str
    purpose: str
    granted: bool
    via: str | None
    source: str
    occurred_at: datetime
    received_at: datetime


class StatementOut(ConsentOut):
    """One statement. Not `told`: it came after a newer one and changed nothing. `proof` is shown to operators alone."""

    told: bool
    proof: str | None = None


class ConsentsOut(BaseModel):
    """A customer's consents as they are, and everything that was ever stated, newest first."""

    customer_id: str
    current: list[ConsentOut]
    history: list[StatementOut]


async def note(connection: Connection, told: Sequence[Event[Data]]) -> set[store.EventKey]:
    """Writes down what the events state, in the transaction that tells them; returns the keys of those that are not to
    be told, since something newer was. Raises store.Overtaken."""
    stale: set[store.EventKey] = set()
    statements = [event for event in told if isinstance(event.data, ConsentChanged)]
    if statements:
        stale = await _state(connection, statements)
    for event in told:
        match event.data:
            case CustomerMerged(into):
                await connection.execute(NEWEST, event.shop_id, into, [into, event.customer_id])
            case CustomerSplit(out_of):
                for each in (out_of, event.customer_id):
                    await connection.execute(FORGET_CURRENT, event.shop_id, [each])
                    await connection.execute(NEWEST, event.shop_id, each, [each])
            case _:
                pass
    return stale


async def _state(connection: Connection, statements: Sequence[Event[Data]]) -> set[store.EventKey]:
    places = sorted({_place(event) for event in statements})
    await connection.execute(MAKE, *zip(*places, strict=True))
    locked = await connection.fetch(LOCK, *zip(*places, strict=True))
    if any(row["overtaken"] for row in locked):
        raise store.Overtaken
    newest: dict[Place, tuple[datetime, bool]] = {
        (row["shop_id"], row["customer_id"], row["channel"], row["purpose"]): (
            (row["occurred_at"], not row["granted"]) if row["said"] else NEVER
        )
        for row in locked
    }
    stale: set[store.EventKey] = set()
    winners: dict[Place, Event[Data]] = {}
    history = []
    for event in statements:
        said, place = event.data, _place(event)
        assert isinstance(said, ConsentChanged)
        rank = (event.occurred_at, not said.granted)
        if is_news := rank >= newest[place]:
            newest[place], winners[place] = rank, event
        else:
            stale.add(store.key_of(event))
        history.append(
            (*place, event.occurred_at, event.source, event.id, said.granted, said.via, event.received_at, is_news)
        )
    await connection.execute(NOTE, *zip(*history, strict=True))
    if winners:
        rows = [(*place, *_said(event)) for place, event in winners.items()]
        await connection.execute(SET, *zip(*rows, strict=True))
    return stale


def _place(event: Event[Data]) -> Place:
    said = event.data
    assert isinstance(said, ConsentChanged)
    return event.shop_id, event.customer_id, said.channel, said.purpose


def _said(event: Event[Data]) -> tuple[object, ...]:
    said = event.data
    assert isinstance(said, ConsentChanged)
    return said.granted, said.via, event.source, event.id, event.occurred_at, event.received_at


async def of_customer(
    connection: Connection, vault: Vault | None, shop_id: str, customer_id: str, ids: Sequence[str]
) -> ConsentsOut:
    """The consents of a person who goes by these ids; with the vault, the proofs too."""
    current = await connection.fetch(CURRENT, shop_id, ids)
    history = await connection.fetch(HISTORY, shop_id, ids)
    names = [names_of(PROOF, (row["source"], row["event_id"])) for row in history]
    proofs: Mapping[str, Mapping[str, str]] = {}
    if vault is not None and names:
        proofs = await vault.get(connection, shop_id, ids, [name for each in names for name in each])
    return ConsentsOut(
        customer_id=customer_id,
        current=[ConsentOut(**dict(row)) for row in current],
        history=[
            StatementOut(**dict(row), proof=next((kept[name] for name in each if name in kept), None))
            for row, each in zip(history, names, strict=True)
            for kept in (proofs.get(row["customer_id"], {}),)
        ],
    )


async def forget(connection: Connection, shop_id: str, ids: Sequence[str]) -> int:
    """Deletes the ids' statements and what came of them; returns how many statements there were."""
    await connection.execute(FORGET_CURRENT, shop_id, ids)
    return int((await connection.execute(FORGET_HISTORY, shop_id, ids)).split()[1])
