"""Asking a running system, the one on the folder or one elsewhere: where it answers, with which key; its refusals."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from msgspec import Struct

from regulars.home import Home, admin_of
from regulars.services import NAMES, Name

KEY_VARIABLE = "REGULARS_KEY"
PROBLEM = "application/problem+json"
TIMEOUT_S = 600.0  # an erasure reads everything that was kept whole


class Elsewhere(Struct, frozen=True):
    """A system that is not in this folder: one address for all services, or one each (`ingest=http://...`)."""

    urls: Sequence[str]
    key: str

    def address_of(self, service: Name) -> str:
        """Where a service answers. Raises ValueError where that was not said."""
        everywhere: str | None = None
        named: dict[str, str] = {}
        for url in self.urls:
            if url.startswith("http"):
                everywhere = everywhere or url
            else:
                name, _, address = url.partition("=")
                named[name] = address
        if unknown := named.keys() - set(NAMES):
            raise ValueError(f"--url {', '.join(sorted(unknown))}: expected a service, one of {', '.join(NAMES)}")
        found = named.get(service, everywhere)
        if not found:
            raise ValueError(f"--url {service}=http://... is missing: where {service} answers")
        return found


def elsewhere_of(urls: Sequence[str] | None, key: str | None) -> Elsewhere | None:
    """What was said of a system elsewhere, if anything. The key may stand in the environment, where others do not see
    it; there it may stand without an address. Raises ValueError when one of the two is missing."""
    if urls is None and key is None:
        return None
    key = key or os.environ.get(KEY_VARIABLE)
    if urls is None or not key:
        raise ValueError(f"--url and --key go together; the key may be {KEY_VARIABLE} in the environment")
    return Elsewhere(urls, key)


def address(home: Home) -> str:
    """Where this installation answers, asked before a key is made. Raises OSError where that is not known: at an
    address that nobody told us somebody else may listen, and would get the key."""
    settings = home.settings()
    if (running := home.running()) is not None:
        return running.url
    if settings.database is None:  # whatever answers elsewhere is not on the database in the folder
        raise OSError(f"nothing runs on {home.folder}: start it with `regulars up --data {home.folder}`")
    if "ingest_url" not in settings.model_fields_set:
        raise OSError(
            f"nothing runs on {home.folder}: start it with `regulars up --data {home.folder}`, "
            "or say in REGULARS_INGEST_URL where it answers"
        )
    return settings.ingest_url


async def ask(client: httpx.AsyncClient, service: str, method: str, path: str, **more: Any) -> httpx.Response:
    """The answer, whatever it is; OSError where nobody answers."""
    try:
        return await client.request(method, path, **more)
    except httpx.TransportError as error:
        raise OSError(
            f"{service} does not answer at {client.base_url} ({error}): start it first, as by `regulars up`"
        ) from None


class Asking(Struct, frozen=True):
    """Clients of a system's services."""

    clients: Mapping[Name, httpx.AsyncClient]

    async def of(self, service: Name, path: str, method: str = "GET", **more: Any) -> Any:
        """The answer; None where what is asked for is not there."""
        answer = await ask(self.clients[service], service, method, path, **more)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return told(answer, service)

    async def ingest(self, path: str, method: str = "GET", **more: Any) -> Any:
        """Ingest's answer; ValueError where what is asked for is not there."""
        return told(await ask(self.clients["ingest"], "ingest", method, path, **more), "ingest")


def told(answer: httpx.Response, service: str) -> Any:
    """What an answer says, None if nothing. What the asker can mend is a ValueError in the words of the refusal."""
    if answer.is_success:
        return answer.json() if answer.content else None
    if answer.is_client_error and answer.headers.get("content-type", "").startswith(PROBLEM):
        problem = answer.json()
        raise ValueError(problem.get("detail") or problem["title"])
    raise OSError(f"{service} answered {answer.status_code}: {answer.text}")


@asynccontextmanager
async def asking(
    home: Home,
    shop: str,
    elsewhere: Elsewhere | None,
    services: Sequence[Name] = ("ingest",),
    *,
    as_admin: bool = False,
) -> AsyncIterator[Asking]:
    """Clients of the services, with the owner's key of a system on this machine, or one that is made for as long as
    the context lasts and may do everything; with the key that was given for a system elsewhere."""
    async with AsyncExitStack() as stack:
        if elsewhere is None:
            urls = dict.fromkeys(services, address(home))
            settings = await stack.enter_async_context(home.installed())
            admin = admin_of(settings)
            made = home.admin_key(admin, shop)
            key = await stack.enter_async_context(made) if as_admin else await home.owner_key(admin, shop)
        else:
            key, urls = elsewhere.key, {name: elsewhere.address_of(name) for name in services}
        headers = {"X-API-Key": key}
        clients = {
            name: await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S))
            for name, url in urls.items()
        }
        yield Asking(clients)
