"""`regulars import` of a known data set."""

from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from common.contracts.envelope import encode
from regulars.asking import Elsewhere
from regulars.history.cursor import Cursor
from regulars.history.into_system import Import, into_system, say
from regulars.history.known import read
from regulars.history.lines import lines
from regulars.home import Home


def import_history(
    kind: str, path: Path, folder: Path, until: datetime | None, orders: int | None, elsewhere: Elsewhere | None
) -> Coroutine[Any, Any, None]:
    """Reads it all first; where it goes is said in `into_system`."""
    events = read(kind, path, until, orders)
    cursor = Cursor(folder, kind, map(encode, events), until, elsewhere.address_of("ingest") if elsewhere else "")
    of_import = list(lines(events, cursor.id))
    say(len(events), len(of_import) - len(events), cursor.load())
    return _send(Home(folder), Import(of_import, len(of_import), cursor, events[0].shop_id), until, elsewhere)


async def _send(home: Home, what: Import, until: datetime | None, elsewhere: Elsewhere | None) -> None:
    await into_system(home, what, until, elsewhere)
