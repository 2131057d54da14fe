"""`regulars privacy`: everything about a person as one document, forgetting a person, and what people asked for."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct
from rich.console import Console

from common.clock import parse_clock
from common.settings import load_settings
from regulars.home import Home, admin_of, write_closed
from regulars.services import NAMES, Name

TIMEOUT_S = 600.0  # an erasure reads everything that was kept whole
PAGE = 500
# What each service answers about one customer. Where `{id}` stands, each of the person's ids is asked for.
ANSWERS: Mapping[Name, Mapping[str, str]] = {
    "segmentation": {"customer": "/v1/customers/{id}"},
    "journeys": {"journeys": "/v1/customers/{id}/journeys"},
    "loyalty": {"account": "/v1/accounts/{id}"},
    "notifier": {"inbox": "/v1/inbox/{id}", "messages": "/v1/customers/{id}/messages"},
}

console = Console()


class Elsewhere(Struct, frozen=True):
    """A system that is not in this folder: one address for all services, or one each (`ingest=http://...`)."""

    urls: Sequence[str]
    key: str


class Asking(Struct, frozen=True):
    """A client per service."""

    clients: Mapping[Name, httpx.AsyncClient]

    async def of(self, service: Name, path: str, method: str = "GET") -> Any:
        """The answer; None where the service knows nobody of that name."""
        try:
            answer = await self.clients[service].request(method, path)
        except httpx.TransportError as error:
            url = self.clients[service].base_url
            raise OSError(
                f"{service} does not answer at {url} ({error}): start it first, as by `regulars up`"
            ) from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            raise OSError(f"{service} answered {answer.status_code}: {answer.text}")
        return answer.json() if answer.content else None


async def export(home: Home, shop: str, customer_id: str, file: Path | None, elsewhere: Elsewhere | None) -> None:
    """Writes everything about a person, from all services, as one JSON document."""
    async with _asking(home, shop, elsewhere) as asking:
        document = await _document(asking, shop, customer_id)
    _write([document], file)


async def export_request(home: Home, shop: str, number: int, file: Path | None, elsewhere: Elsewhere | None) -> None:
    """The same of everybody whom a request is about; then the request is done."""
    async with _asking(home, shop, elsewhere) as asking:
        people = await asking.of("ingest", f"/v1/privacy/requests/{number}/customers")
        if people is None:
            raise ValueError(f"the shop {shop!r} has no open request {number}: `regulars privacy list` shows them")
        _write([await _document(asking, shop, one) for one in people["customer_ids"]], file)
        await asking.of("ingest", f"/v1/privacy/requests/{number}/fetched", "POST")


async def erase(home: Home, shop: str, customer_id: str, elsewhere: Elsewhere | None) -> None:
    """Forgets a person for good, and prints what was removed."""
    async with _asking(home, shop, elsewhere) as asking:
        erased = await asking.of("ingest", f"/v1/customers/{quote(customer_id)}/erase", "POST")
    ids = ", ".join(erased.pop("customer_ids"))
    told = len(erased.pop("told"))
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in erased.items())
    console.out(f"erased {ids}: {counts}; {told} told to the other services", highlight=False)


async def show(home: Home, shop: str, everything: bool, elsewhere: Elsewhere | None) -> None:
    """Lists what people asked for."""
    async with _asking(home, shop, elsewhere) as asking:
        page = await asking.of("ingest", f"/v1/privacy/requests?limit={PAGE}&everything={str(everything).lower()}")
    for one in page["items"]:
        until = f"done {one['done_at']}" if one["done_at"] else f"due {one['due_at']}"
        line = f"{one['id']:>6}  {one['kind']:<10}  {one['source_id']}  {one['reference']}  asked {one['asked_at']}"
        console.out(f"{line}  {until}", highlight=False)
    if not page["items"]:
        console.print("No requests.")


async def _document(asking: Asking, shop: str, customer_id: str) -> dict[str, Any]:
    own = await asking.of("ingest", f"/v1/customers/{quote(customer_id)}/personal-data")
    ids = own["customer_ids"]
    sections: dict[str, Any] = {"ingest": own}
    for service, answers in ANSWERS.items():
        sections[service] = {
            one: {what: await _whole(asking, service, path, one) for what, path in answers.items()} for one in ids
        }
    now = parse_clock(load_settings().clock).now()
    return {"shop_id": shop, "customer_id": customer_id, "customer_ids": ids, "exported_at": now, "services": sections}


async def _whole(asking: Asking, service: Name, path: str, customer_id: str) -> Any:
    """The answer, all pages of a list as one."""
    path = path.format(id=quote(customer_id))
    answer = await asking.of(service, path)
    if not isinstance(answer, dict) or "items" not in answer:
        return answer
    items, cursor = answer["items"], answer["next"]
    while cursor is not None:
        page = await asking.of(service, f"{path}?cursor={cursor}")
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


@asynccontextmanager
async def _asking(home: Home, shop: str, elsewhere: Elsewhere | None) -> AsyncIterator[Asking]:
    if elsewhere is not None:
        async with _clients(_addresses(elsewhere.urls), elsewhere.key) as asking:
            yield asking
        return
    async with home.installed() as settings, home.admin_key(admin_of(settings), shop) as key:
        running = home.running()
        url = running.url if running else settings.ingest_url
        async with _clients(_addresses([url]), key) as asking:
            yield asking


@asynccontextmanager
async def _clients(addresses: Mapping[Name, str], key: str) -> AsyncIterator[Asking]:
    headers = {"X-API-Key": key}
    clients = {
        name: httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S) for name, url in addresses.items()
    }
    try:
        yield Asking(clients)
    finally:
        await asyncio.gather(*(client.aclose() for client in clients.values()))


def _addresses(urls: Sequence[str]) -> dict[Name, str]:
    """Of each service, out of `http://...` for all and `name=http://...` for one."""
    named = dict(url.split("=", 1) for url in urls if not url.startswith("http"))
    everywhere = [url for url in urls if url.startswith("http")]
    found: dict[Name, str] = {}
    for name in NAMES:
        url = named.pop(name, everywhere[0] if everywhere else None)
        if url is None:
            raise ValueError(f"--url {name}=http://... is missing: where {name} answers")
        found[name] = url
    if named:
        raise ValueError(f"--url {', '.join(named)}: expected a service, one of {', '.join(NAMES)}")
    return found
