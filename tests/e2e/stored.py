"""What an installation has stored, as the lines that `regulars simulate --customers` writes: for comparing the two."""

import asyncio
import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from common.contracts.envelope import Data, Event
from common.shops import load_shops
from regulars.embedded_postgres import EmbeddedPostgres
from regulars.history.virtual_time import Simulation
from tests.olist.check import rows_of, stored

Rows = dict[str, dict[str, Any]]


def simulated(events: Sequence[Event[Data]], at: datetime, work: Path) -> Rows:
    """Every customer by id, as the simulation has them at that moment."""
    return rows_of(Simulation(load_shops()).run(events, at).customers, work)


def stored_at_rest(home: Path, work: Path) -> Rows:
    """Every customer by id, as the services have them in the database of an installation that is not running."""

    async def look() -> Rows:
        async with await EmbeddedPostgres.start(home / "postgres") as server:
            return await stored(server.dsn(), work)

    return asyncio.run(look())


def stored_under(address: str, work: Path) -> Rows:
    """The same of one that is running."""
    return asyncio.run(stored(address, work))


def written(path: Path, like: Rows) -> Rows:
    """The rows of a file of customers, with the columns that the others have; what else a simulation says of them at
    its end is checked on other data."""
    columns = next(iter(like.values())).keys()
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: {column: row[column] for column in columns} for row in csv.DictReader(file)}
