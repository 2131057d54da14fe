"""What `regulars audit` takes."""

from typing import Annotated

import typer

from regulars.cli.options import Folder, OnlyShop
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER

group = typer.Typer(help="Who did what: keys, sources, replays, people.", no_args_is_help=True)


@group.command("list")
def list_acts(
    shop: OnlyShop = None,
    limit: Annotated[int, typer.Option(help="The last so many.", min=1, max=100_000)] = 100,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Who made, revoked, rotated, replayed, merged, exported or erased what, and when."""
    from regulars.verbs.audit import show

    run_at(folder, show, shop, limit)
