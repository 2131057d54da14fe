"""What `regulars vault` takes."""

from typing import Annotated

import typer

from regulars.cli.options import Folder
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER

group = typer.Typer(help="The vault's master key.", no_args_is_help=True)


@group.command("rotate")
def rotate_master(
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Then forget the old ones; backups need them.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Seal everything with the present master key, while the system runs."""
    from regulars.verbs.vault import rotate

    run_at(folder, rotate, drop_old)


@group.command("new-key")
def new_master(folder: Folder = DEFAULT_FOLDER) -> None:
    """Make this installation's next master key; it is used from the next start on."""
    from regulars.verbs.vault import new_key

    run_at(folder, new_key)
