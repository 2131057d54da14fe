"""What `regulars privacy` takes."""

from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.options import Folder, ItsKey, OfShop, Urls, given_elsewhere
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP

group = typer.Typer(help="A person's own data: shown whole, or forgotten.", no_args_is_help=True)


@group.command("export")
def export_person(
    customer: Annotated[str | None, typer.Argument(help="Any id of the person.")] = None,
    request: Annotated[int | None, typer.Option(help="Everybody whom this request is about; then it is done.")] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write it here, readable by you alone; none: print it.")
    ] = None,
    shop: OfShop = DEFAULT_SHOP,
    url: Urls = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Everything about a person, from all services, as one JSON document."""
    from regulars.verbs.privacy import export, export_request

    if (customer is None) == (request is None):
        raise typer.BadParameter("name either a customer or a --request")
    if customer is not None:
        run_at(folder, export, shop, customer, json, given_elsewhere(url, key))
    elif request is not None:
        run_at(folder, export_request, shop, request, json, given_elsewhere(url, key))


@group.command("erase")
def erase_person(
    customer: Annotated[str, typer.Argument(help="Any id of the person.")],
    shop: OfShop = DEFAULT_SHOP,
    url: Urls = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Forget a person for good, in the whole system, and print what was removed."""
    from regulars.verbs.privacy import erase

    run_at(folder, erase, shop, customer, given_elsewhere(url, key))


@group.command("list")
def list_requests(
    everything: Annotated[bool, typer.Option("--all", help="Those that are done too.")] = False,
    shop: OfShop = DEFAULT_SHOP,
    url: Urls = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """What people, or a platform for them, asked of their data."""
    from regulars.verbs.privacy import show

    run_at(folder, show, shop, everything, given_elsewhere(url, key))
