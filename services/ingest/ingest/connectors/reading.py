"""Values that have to be readable: as values.py reads them, else a Fault that says where the trouble is."""

from datetime import datetime
from typing import Any

from common.contracts.envelope import Rejection
from common.money import Money
from ingest.connectors.port import Fault
from ingest.connectors.values import minor_units, moment


def required(found: str | None, path: str) -> str:
    """What was found where an id has to be. Raises Fault."""
    if found is None:
        raise Fault(Rejection(path, "missing"))
    return found


def money(amount: Any, currency: str, path: str, *, exact: bool = False) -> Money:
    """An amount in major units; `exact`: without digits beyond the minor one. Raises Fault."""
    minor = minor_units(amount, currency, exact=exact)
    if minor is None:
        raise Fault(Rejection(path, "expected an amount such as 12.50"))
    return Money(minor, currency)


def time_of(text: str | None, path: str) -> datetime | None:
    """A time, if there is one; UTC where it does not say. Raises Fault."""
    if not text:
        return None
    if (read := moment(text)) is None:
        raise Fault(Rejection(path, "expected a time as 2026-01-31T09:05:00"))
    return read
