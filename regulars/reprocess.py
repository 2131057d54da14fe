"""`regulars reprocess`: deliveries that were kept, converted again after a connector was repaired."""

from datetime import datetime

import httpx
from rich.console import Console

from regulars.home import Home, admin_of

TIMEOUT_S = 120.0
COUNTED = ("deliveries", "new", "repeated", "ignored", "refused", "unreadable")
WORDS = ("new events", "events known already", "ignored", "refused", "unreadable")

console = Console()


async def reprocess(
    home: Home,
    shop: str,
    source_id: str | None,
    connector: str | None,
    since: datetime,
    until: datetime | None,
    dry_run: bool,
    elsewhere: tuple[str, str] | None,
) -> int:
    """Chunk by chunk; cut short, the same again does the rest, and counts what was done as repeated."""
    wanted: dict[str, object] = {
        "source_id": source_id,
        "connector": connector,
        "since": since.isoformat(),
        "until": until.isoformat() if until else None,
        "dry_run": dry_run,
    }
    if elsewhere is not None:
        counts = await _all(*elsewhere, wanted)
    else:
        async with home.installed() as settings:
            running = home.running()
            key = await home.owner_key(admin_of(settings), shop)
            counts = await _all(running.url if running else settings.ingest_url, key, wanted)
    told = ", ".join(f"{counts[name]} {words}" for name, words in zip(COUNTED[1:], WORDS, strict=True))
    console.out(f"{counts['deliveries']} deliveries{' (dry run)' if dry_run else ''}: {told}", highlight=False)
    return 0


async def _all(url: str, key: str, wanted: dict[str, object]) -> dict[str, int]:
    counts = dict.fromkeys(COUNTED, 0)
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=TIMEOUT_S) as client:
        cursor = None
        while True:
            try:
                answer = await client.post("/v1/deliveries/reprocess", json=wanted | {"cursor": cursor})
            except httpx.TransportError as error:
                raise OSError(
                    f"ingest does not answer at {url} ({error}): start it first, as by `regulars up`"
                ) from None
            if not answer.is_success:
                raise OSError(f"ingest answered {answer.status_code}: {answer.text}")
            told = answer.json()
            for name in COUNTED:
                counts[name] += told[name]
            cursor = told["next"]
            if cursor is None:
                return counts
