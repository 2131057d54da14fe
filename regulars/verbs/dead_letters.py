"""`regulars dead-letters`: what could not be handled, per service, and back on the road with it."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import httpx
from rich.console import Console

from common.bus import dead_letters
from common.clock import parse_clock
from common.contracts.topics import TOPICS
from common.settings import Settings
from common.web import audit
from ingest.flusher import EDGE_HISTORIC, EDGE_SEGMENT
from ingest.hooks import LETTERS as OF_HOOKS
from ingest.tracking import OUTCOME
from regulars.asking import TIMEOUT_S, address, ask
from regulars.home import Home, admin_of
from regulars.services import NAMES, Name
from regulars.verbs.vault import vault_of

PAGE = 500
LEFT = ("unreadable", "removed")  # letters that stay
SEALED = """
SELECT id, shop_id, topic, body FROM ingest.dead_letters
WHERE replayed_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1)) ORDER BY id
"""
REPLAYED = "UPDATE ingest.dead_letters SET replayed_at = $2 WHERE id = $1"

console = Console()


async def show(home: Home, service: Name | None, everything: bool) -> None:
    """Lists the letters; with `everything`, the replayed ones too."""
    count = 0
    async with home.installed() as settings:
        for name in (service,) if service else NAMES:
            connection = await _as_service(admin_of(settings), name)
            try:
                rows = await connection.fetch(dead_letters.LIST, 0, everything, PAGE)
            finally:
                await connection.close()
            for row in rows:
                console.out(_line(name, row), highlight=False)
            count += len(rows)
    if not count:
        console.print("No dead letters.")


def _line(service: str, row: asyncpg.Record) -> str:
    """One letter, whole, however narrow the terminal: a reason that is cut off tells nothing."""
    replayed = f"  (replayed {row['replayed_at']:%F %T})" if row["replayed_at"] else ""
    head = f"{service:<12}  {row['id']:>6}  {row['at']:%F %T}  {row['key']}  {row['topic']}"
    return f"{head}  {row['path']}: {row['reason']}{replayed}"


async def replay(home: Home, service: Name, ids: list[int] | None) -> int:
    """Puts letters back: those of ingest are sent again as they came, the others go to their service's work topic."""
    url = address(home) if service == "ingest" else None
    async with home.installed() as settings:
        connection = await _as_service(admin_of(settings), service)
        now = parse_clock(settings.clock).now()
        try:
            which = ",".join(map(str, ids)) if ids else "all"
            await audit.note(connection, audit.command(), "letters.replayed", f"{service}: {which}")
            if url is not None:
                told = await _send_again(connection, home, settings, url, ids, now)
            else:
                work = next(topic.name for topic in TOPICS if topic.owner == service and topic.work)
                count = await dead_letters.replay(connection, work, now, ids)
                told = f"{count} dead letters of {service} are back on the road."
        finally:
            await connection.close()
    console.out(told, highlight=False)
    return 0


async def _send_again(
    connection: asyncpg.Connection, home: Home, settings: Settings, url: str, ids: list[int] | None, now: datetime
) -> str:
    """One by one, each marked once it is answered: cut short, what was taken is known by its id the next time."""
    vault = vault_of(home, settings)
    counts = Counter(dict.fromkeys(("accepted", "duplicate", "ignored", "refused", "unreadable"), 0))
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
        for letter in await connection.fetch(SEALED, ids):
            key = await home.owner_key(admin_of(settings), letter["shop_id"])
            answer = await ask(
                client,
                "ingest",
                "POST",
                _door(letter["topic"]),
                params={"historic": letter["topic"] == EDGE_HISTORIC},
                content=vault.open_letter(bytes(letter["body"])),
                headers={"X-API-Key": key},
            )
            outcome = _outcome(answer)
            counts[outcome] += 1
            if outcome not in LEFT:  # refused again, it is a new letter; what nothing reads stays the one it is
                await connection.execute(REPLAYED, letter["id"], now.astimezone(UTC))
    return f"{sum(counts.values())} sent again: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _door(topic: str) -> str:
    """Where the letter is sent again: the door it came by; a webhook's delivery by its source."""
    if topic.startswith(OF_HOOKS):
        return f"/v1/sources/{topic.removeprefix(OF_HOOKS)}/deliveries"
    return "/v1/batch" if topic == EDGE_SEGMENT else "/v1/events"


def _outcome(answer: httpx.Response) -> str:
    match answer.status_code:
        case httpx.codes.OK:  # of a message in Segment's form, which is always answered so
            outcome = next(name for name, count in _counted(answer.headers[OUTCOME]) if count)
            return "refused" if outcome == "rejected" else outcome
        case httpx.codes.ACCEPTED:
            return str(answer.json().get("status", "refused"))  # an array in an array is answered as a batch
        case httpx.codes.UNPROCESSABLE_ENTITY:
            return "refused"
        case httpx.codes.NOT_FOUND:  # its source is
            return "removed"
        case httpx.codes.BAD_REQUEST | httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return "unreadable"
        case other:
            raise OSError(f"ingest answered {other}: {answer.text}")


def _counted(told: str) -> Iterator[tuple[str, int]]:
    """`accepted=1, duplicate=0` in parts."""
    for each in told.split(", "):
        name, _, count = each.partition("=")
        yield name, int(count)


async def _as_service(admin_database: str, name: str) -> asyncpg.Connection:
    return await asyncpg.connect(admin_database, server_settings={"search_path": name})
