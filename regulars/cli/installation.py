"""What `regulars up`, `demo`, `migrate` and `doctor` take: an installation run, tried, made fit, looked at."""

from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.options import Folder
from regulars.cli.running import run
from regulars.defaults import DEFAULT_FOLDER


def up(
    folder: Folder = DEFAULT_FOLDER,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Kafka as the bus: REGULARS_KAFKA, or a broker of its own.")
    ] = False,
) -> None:
    """Run everything in one process; data stays in ./.regulars."""
    from regulars.verbs.up import up as verb

    run(verb, folder, kafka, **({} if port is None else {"port": port}))


def demo(
    folder: Folder = Path(".regulars/demo"),
    seed: Annotated[int, typer.Option(help="The same seed, the same shop.")] = 1,
    leave: Annotated[
        bool, typer.Option("--exit", help="End when it is over: status 0 if all checks hold, else 1.")
    ] = False,
) -> None:
    """A generated shop on an accelerated clock: 60 days in about a minute, then what was checked."""
    from regulars.demo.run import demo as verb

    run(verb, folder, seed, leave)


def migrate() -> None:
    """Make the database of REGULARS_DATABASE fit for all services."""
    from regulars.verbs.migrate import migrate_all as verb

    run(verb)


def doctor(folder: Folder = DEFAULT_FOLDER) -> None:
    """What is missing here, and how to get it."""
    from regulars.verbs.doctor import doctor as verb

    run(verb, folder)
