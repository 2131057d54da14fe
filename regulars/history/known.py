"""Histories that can be imported and simulated by name: who reads their files, or by which mapping they are read."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from common.contracts.envelope import Data, Event
from regulars.history import olist


class Kind(StrEnum):
    """What the files are."""

    OLIST = "olist"
    CDNOW = "cdnow"
    ONLINE_RETAIL = "online_retail"
    GA_MERCH_STORE = "ga_merch_store"
    TAOBAO_USERBEHAVIOR = "taobao_userbehavior"


class Mapped(NamedTuple):
    """A file of a data set, as it is called where it comes from, and the packaged mapping that reads it."""

    file: str
    mapping: str


READERS: dict[str, Callable[[Path, datetime | None, int | None], list[Event[Data]]]] = {Kind.OLIST: olist.read}
# Data sets of one file, by what the file is called in `--file`; the first is read where nothing is said. Each has a
# packaged shop of its own name, of its currency.
MAPPED: dict[str, dict[str, Mapped]] = {
    Kind.CDNOW: {
        "sample": Mapped("CDNOW_sample.txt", "cdnow_sample"),
        "master": Mapped("CDNOW_master.txt", "cdnow_master"),
    },
    Kind.ONLINE_RETAIL: {"whole": Mapped("online_retail.csv", "online_retail")},
    Kind.GA_MERCH_STORE: {"events": Mapped("commerce_events.csv", "ga_merch_store")},
    Kind.TAOBAO_USERBEHAVIOR: {"first100k": Mapped("UserBehavior_first100k.csv", "taobao_userbehavior")},
}


def file_of(kind: str, folder: Path, called: str | None) -> tuple[Path, str]:
    """The data set's file in its folder, or in the folder of its name there, and its mapping. Raises ValueError."""
    files = MAPPED[kind]
    if called is not None and called not in files:
        raise ValueError(f"{kind} has no file {called!r}; there is {', '.join(files)}")
    mapped = files[called or next(iter(files))]
    places = (folder / mapped.file, folder / kind / mapped.file)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ValueError(f"{folder} holds no {mapped.file}")
    return found, mapped.mapping


def read(kind: str, path: Path, until: datetime | None, orders: int | None) -> list[Event[Data]]:
    """All events up to and including `until`, oldest first; ValueError when there is none."""
    events = READERS[kind](path, until, orders)
    if not events:
        raise ValueError(f"nothing happened in {path}" + (f" up to {until.isoformat()}" if until else ""))
    return events
