"""`regulars privacy`: everything about a person as one document, forgetting a person, and what people asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console

from common.clock import parse_clock
from common.settings import load_settings
from regulars.asking import Asking, Elsewhere, asking
from regulars.home import Home, write_closed
from regulars.services import NAMES, Name

PAGE = 500
# What each service answers about one customer. Where `{id}` stands, each of the person's ids is asked for.
ANSWERS: Mapping[Name, Mapping[str, str]] = {
    "segmentation": {"customer": "/v1/customers/{id}", "timeline": "/v1/customers/{id}/timeline"},
    "journeys": {"journeys": "/v1/customers/{id}/journeys"},
    "loyalty": {"account": "/v1/accounts/{id}"},
    "notifier": {"inbox": "/v1/inbox/{id}", "messages": "/v1/customers/{id}/messages"},
}

console = Console()


async def export(home: Home, shop: str, customer_id: str, file: Path | None, elsewhere: Elsewhere | None) -> None:
    """Writes everything about a person, from all services, as one JSON document."""
    async with asking(home, shop, elsewhere, NAMES, as_admin=True) as system:
        document = await _document(system, shop, customer_id)
    _write([document], file)


async def export_request(home: Home, shop: str, number: int, file: Path | None, elsewhere: Elsewhere | None) -> None:
    """The same of everybody whom a request is about; then the request is done."""
    async with asking(home, shop, elsewhere, NAMES, as_admin=True) as system:
        people = await system.of("ingest", f"/v1/privacy/requests/{number}/customers")
        if people is None:
            raise ValueError(f"the shop {shop!r} has no open request {number}: `regulars privacy list` shows them")
        _write([await _document(system, shop, one) for one in people["customer_ids"]], file)
        await system.ingest(f"/v1/privacy/requests/{number}/fetched", "POST")


async def erase(home: Home, shop: str, customer_id: str, elsewhere: Elsewhere | None) -> None:
    """Forgets a person for good, and prints what was removed."""
    async with asking(home, shop, elsewhere, as_admin=True) as system:
        erased = await system.ingest(f"/v1/customers/{quote(customer_id, safe='')}/erase", "POST")
    ids = ", ".join(erased.pop("customer_ids"))
    told = len(erased.pop("told"))
    if not told and not any(erased.values()):
        console.out(f"nothing is known of {ids}: nothing was erased", highlight=False)
        return
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in erased.items())
    console.out(f"erased {ids}: {counts}; {told} told to the other services", highlight=False)


async def show(home: Home, shop: str, everything: bool, elsewhere: Elsewhere | None) -> None:
    """Lists what people asked for."""
    cursor, count = None, 0
    async with asking(home, shop, elsewhere) as system:
        while True:
            params = {"limit": PAGE, "everything": everything} | ({"cursor": cursor} if cursor else {})
            page = await system.ingest("/v1/privacy/requests", params=params)
            for one in page["items"]:
                console.out(_line(one), highlight=False)
            count += len(page["items"])
            cursor = page["next"]
            if cursor is None:
                break
    if not count:
        console.print("No requests.")


def _line(one: Mapping[str, Any]) -> str:
    """A request; with whom it erased, so that they can be erased again after a restore."""
    until = f"done {one['done_at']}" if one["done_at"] else f"due {one['due_at']}"
    line = (
        f"{one['id']:>6}  {one['kind']:<10}  {one['source_id']}  {one['reference']}  asked {one['asked_at']}  {until}"
    )
    erased = (one["outcome"] or {}).get("customer_ids", ())
    return f"{line}  erased {', '.join(erased)}" if erased else line


async def _document(system: Asking, shop: str, customer_id: str) -> dict[str, Any]:
    own = await system.ingest(f"/v1/customers/{quote(customer_id, safe='')}/personal-data")
    ids = own["customer_ids"]
    sections: dict[str, Any] = {"ingest": own}
    for service, answers in ANSWERS.items():
        sections[service] = {
            one: {what: await _whole(system, service, path, one) for what, path in answers.items()} for one in ids
        }
    now = parse_clock(load_settings().clock).now()
    return {"shop_id": shop, "customer_id": customer_id, "customer_ids": ids, "exported_at": now, "services": sections}


async def _whole(system: Asking, service: Name, path: str, customer_id: str) -> Any:
    """The answer, all pages of a list as one."""
    path = path.format(id=quote(customer_id, safe=""))
    answer = await system.of(service, path)
    if not isinstance(answer, dict) or "items" not in answer:
        return answer
    items, cursor = answer["items"], answer["next"]
    while cursor is not None:
        page = await system.of(service, f"{path}?cursor={cursor}")
        items, cursor = items + page["items"], page["next"]
    return items


def _write(documents: Sequence[Mapping[str, Any]], file: Path | None) -> None:
    whole = documents[0] if len(documents) == 1 else {"people": documents}
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2)
    if file is None:
        console.out(text.decode(), highlight=False)
    else:
        write_closed(file, text + b"\n")
        console.out(f"written to {file}, for its owner's eyes", highlight=False)
