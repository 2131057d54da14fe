"""What `regulars keys` takes."""

from typing import Annotated

import typer

from regulars.cli.options import Folder, OnlyShop
from regulars.cli.running import run, run_at
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP

group = typer.Typer(help="API keys.", no_args_is_help=True)


@group.command("create")
def create_key(
    scope: Annotated[str, typer.Option(help="Of ingest, read, operate, admin, internal; several with commas.")],
    shop: Annotated[str, typer.Option(help="The shop it is for.")] = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make an API key and print it, this once."""
    from regulars.verbs.keys import create as verb

    run(verb, folder, shop, scope.split(","))


@group.command("list")
def list_keys(shop: OnlyShop = None, folder: Folder = DEFAULT_FOLDER) -> None:
    """Which keys there are, what they may do, and whether they are good."""
    from regulars.verbs.keys import show

    run_at(folder, show, shop)


@group.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Its id: the eight characters behind rk_.")],
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """End a key for good."""
    from regulars.verbs.keys import revoke

    run_at(folder, revoke, key_id)
