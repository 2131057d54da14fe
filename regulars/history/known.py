"""Histories that can be imported and simulated: a name, and who reads its files into events."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from common.contracts.envelope import Data, Event
from regulars.history import olist


class Kind(StrEnum):
    """What the files are."""

    OLIST = "olist"


READERS: dict[str, Callable[[Path, datetime | None, int | None], list[Event[Data]]]] = {Kind.OLIST: olist.read}


def read(kind: str, path: Path, until: datetime | None, orders: int | None) -> list[Event[Data]]:
    """All events up to and including `until`, oldest first; ValueError when there is none."""
    events = READERS[kind](path, until, orders)
    if not events:
        raise ValueError(f"nothing happened in {path}" + (f" up to {until.isoformat()}" if until else ""))
    return events
