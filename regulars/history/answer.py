"""What an installation answers about a shop's customers: one row per customer, and the counts over them."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from loyalty.domain.account import Account
from segmentation.domain.profile.state import Profile

LIFECYCLES = ("new", "repeat", "loyal")
FAN = "fan"  # told where the shop's preset knows fans and there are some
ACTIVITIES = ("active", "stimulate", "winback", "lost")
TIERS = ("ordinary", "silver", "gold", "diamond")
STEPS = ("payment_reminder/5m", "payment_reminder/1h", "payment_reminder/24h", "dispatch_notice", "gift_30d")


class Customer(Struct, frozen=True):
    """A customer as segmentation and loyalty know them; the fields are the columns of the CSV file."""

    id: str
    purchases: int
    first_purchase: datetime | None
    last_purchase: datetime | None
    monetary_minor: int
    lifecycle: str
    activity: str | None
    points: int
    tier: str


class Ended(Struct, frozen=True):
    """A customer as a simulation leaves it. `days` are those of the shop's calendar on which something was bought."""

    customer_id: str
    profile: Profile
    days: tuple[date, ...]


class Columns(Struct, frozen=True):
    """More columns of the file of customers: their names, and by customer their values."""

    names: tuple[str, ...] = ()
    of: Mapping[str, tuple[object, ...]] = {}


NO_MORE = Columns()


class Answer(Struct, frozen=True):
    """Everything asked of a shop at one moment. `accounts` are customers that ever completed an order; `ended` is
    there only where it was asked for."""

    at: datetime
    customers: list[Customer]
    accounts: int
    messages: Mapping[str, Mapping[str, int]]  # journey step -> month -> sent
    ended: Sequence[Ended] = ()


def customer_of(customer_id: str, profile: Profile, account: Account | None) -> Customer:
    """One row from the two states."""
    purchases = profile.purchases
    return Customer(
        id=customer_id,
        purchases=purchases.count if purchases else 0,
        first_purchase=purchases.first_at if purchases else None,
        last_purchase=purchases.last_at if purchases else None,
        monetary_minor=purchases.amount_minor if purchases else 0,
        lifecycle=profile.lifecycle,
        activity=profile.activity,
        points=account.balance if account else 0,
        tier=account.tier if account else TIERS[0],
    )


def summary(answer: Answer) -> dict[str, object]:
    """The counts, in a form that does not depend on how they were come by."""
    cells = Counter(f"{c.lifecycle}/{c.activity}" if c.activity else c.lifecycle for c in answer.customers)
    tiers = Counter(customer.tier for customer in answer.customers)
    every_cell = ["prospect", *(f"{lifecycle}/{activity}" for lifecycle in LIFECYCLES for activity in ACTIVITIES)]
    every_cell += [cell for activity in ACTIVITIES if (cell := f"{FAN}/{activity}") in cells]
    unknown = {*cells, *tiers, *answer.messages} - {*every_cell, *TIERS, *STEPS}
    assert not unknown, f"no place in the answer for {unknown}"
    return {
        "at": answer.at.isoformat(),
        "customers": len(answer.customers),
        "lifecycle": {cell: cells[cell] for cell in every_cell},
        "points": {"total": sum(customer.points for customer in answer.customers), "accounts": answer.accounts},
        "tiers": {tier: tiers[tier] for tier in TIERS},
        "messages": {step: dict(sorted(answer.messages.get(step, {}).items())) for step in STEPS},
    }


def by_month(sent: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """`(step, month)` pairs counted."""
    months: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for step, month in sent:
        months[step][month] += 1
    return {step: dict(counts) for step, counts in months.items()}


def write_json(answer: Answer, path: Path) -> None:
    """The summary as a file: the same answer, the same bytes."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(summary(answer)), indent=2) + b"\n")


def write_customers(answer: Answer, path: Path, more: Columns = NO_MORE) -> None:
    """One row per customer, in order of id; times in UTC, days of the shop's calendar."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*Customer.__struct_fields__, *more.names))
        for customer in sorted(answer.customers, key=lambda c: c.id):
            of = more.of[customer.id] if more.names else ()
            writer.writerow(_cell(value) for value in (*msgspec.structs.astuple(customer), *of))


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return "" if value is None else value
