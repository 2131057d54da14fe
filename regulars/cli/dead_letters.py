"""What `regulars dead-letters` takes."""

from typing import Annotated

import typer

from regulars.cli.options import Folder
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER
from regulars.services import Name

group = typer.Typer(help="What could not be handled, kept to be replayed.", no_args_is_help=True)


@group.command("list")
def list_letters(
    service: Annotated[Name | None, typer.Option(help="Only this service's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The replayed ones too.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """What could not be decoded or decided, and why."""
    from regulars.verbs.dead_letters import show

    run_at(folder, show, service, everything)


@group.command("replay")
def replay_letters(
    service: Annotated[Name, typer.Argument(help="Whose letters.")],
    ids: Annotated[list[int] | None, typer.Argument(help="Which; none named: all not replayed yet.")] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Put dead letters back on the road."""
    from regulars.verbs.dead_letters import replay

    run_at(folder, replay, service, ids)
