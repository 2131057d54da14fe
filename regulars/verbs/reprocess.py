"""`regulars reprocess`: deliveries that were kept, converted again after a connector was repaired."""

from datetime import datetime

from rich.console import Console

from regulars.asking import Elsewhere, asking
from regulars.home import Home

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
    elsewhere: Elsewhere | None,
) -> int:
    """Chunk by chunk; cut short, the same again does the rest, and counts what was done as repeated."""
    wanted: dict[str, object] = {
        "source_id": source_id,
        "connector": connector,
        "since": since.isoformat(),
        "until": until.isoformat() if until else None,
        "dry_run": dry_run,
    }
    counts = dict.fromkeys(COUNTED, 0)
    async with asking(home, shop, elsewhere) as system:
        cursor = None
        while True:
            chunk = await system.ingest("/v1/deliveries/reprocess", "POST", json=wanted | {"cursor": cursor})
            for name in COUNTED:
                counts[name] += chunk[name]
            cursor = chunk["next"]
            if cursor is None:
                break
    told = ", ".join(f"{counts[name]} {words}" for name, words in zip(COUNTED[1:], WORDS, strict=True))
    console.out(f"{counts['deliveries']} deliveries{' (dry run)' if dry_run else ''}: {told}", highlight=False)
    return 0
