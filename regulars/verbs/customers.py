"""`regulars customers`: the names of a customer, why two ids are one, and merges done and undone by hand."""

from typing import Any
from urllib.parse import quote

from rich.console import Console

from regulars.asking import asking
from regulars.home import Home

PAGE = 500

console = Console()


async def show(home: Home, shop: str, customer_id: str) -> None:
    """Prints all ids and names of the person whose id it is; contact data masked."""
    path = f"/v1/customers/{quote(customer_id, safe='')}"
    ids = await _ask(home, shop, "GET", f"{path}/ids")
    if customer_id in ids["merged"]:
        _print(f"{customer_id} was merged; it lives on as {ids['customer_id']}:")
    elif customer_id != ids["customer_id"]:
        _print(f"{customer_id} is a name of {ids['customer_id']}:")
    if ids["merged"]:
        _print(f"{ids['customer_id']} is also {', '.join(ids['merged'])}.")
    cursor: str | None = None
    while True:
        params = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        page = await _ask(home, shop, "GET", f"{path}/identities", params=params)
        for name in page["items"]:
            value = name["value"] or "(no longer in the vault)"
            shared = "  shared by many: counts no more" if name["shared"] else ""
            told = f"{name['source']} {name['event_id']}  {name['first_at']}"
            _print(f"{name['kind']:<10}  {value}  of {name['customer_id']}  by {told}{shared}")
        cursor = page["next"]
        if cursor is None:
            break
    if not page["items"]:
        names = "these ids" if ids["merged"] else "this id"
        _print(f"{ids['customer_id']} has no name but {names}.")


async def explain(home: Home, shop: str, one: str, other: str) -> None:
    """Prints why two ids are one person, or that they are not."""
    path = f"/v1/customers/{quote(one, safe='')}/same-as/{quote(other, safe='')}"
    told = await _ask(home, shop, "GET", path)
    if not told["same"]:
        apart = told["kept_apart"]
        why = f", kept apart since {apart['since']}: {apart['reason'] or 'no reason given'}" if apart else ""
        _print(f"{one} and {other} are not the same person{why}.")
        return
    _print(f"{one} and {other} are {told['customer_id']}.")
    for link in told["chain"]:
        by = "an operator" if link["by"] == "operator" else f"{link['by']}, by {link['source']} {link['event_id']}"
        first = link["first_at"]
        before = f"; first given by {link['first_source']} {link['first_event_id']}, {first}" if first else ""
        _print(f"  {link['customer_id']} is {link['into']}: {by}, {link['at']}{before}")


async def merge(home: Home, shop: str, customer_id: str, into: str) -> None:
    """Makes two people one."""
    path = f"/v1/customers/{quote(customer_id, safe='')}/merge"
    told = await _ask(home, shop, "POST", path, json={"into": into})
    _print(f"{told['customer_id']} is {told['into']} from now on.")


async def split(home: Home, shop: str, customer_id: str, reason: str) -> None:
    """Undoes a merge."""
    path = f"/v1/customers/{quote(customer_id, safe='')}/split"
    told = await _ask(home, shop, "POST", path, json={"reason": reason})
    _print(f"{told['customer_id']} is a person of its own again, and kept apart from {told['out_of']}.")


async def _ask(home: Home, shop: str, method: str, path: str, **more: Any) -> Any:
    async with asking(home, shop, None) as system:
        return await system.ingest(path, method, **more)


def _print(line: str) -> None:
    console.out(line, highlight=False)
