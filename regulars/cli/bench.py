"""What `regulars bench` takes."""

from pathlib import Path
from typing import Annotated

import typer

from regulars.bench import NAMES as BENCHMARKS
from regulars.cli.running import run


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Of {', '.join(BENCHMARKS)}; none named: all. `peers` installs others into the cache folder."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures here.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A twentieth of the work: to see that it runs.")] = False,
) -> None:
    """Measure this machine: each figure beside what a bare script does of the same work."""
    from regulars.bench.run import bench as verb

    run(verb, names or [], quick, json)
