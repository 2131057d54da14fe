"""Runs a verb: its status is the command's, and what its user can mend is said in one message."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec

import typer

if TYPE_CHECKING:
    from regulars.home import Home

P = ParamSpec("P")
Result = Coroutine[Any, Any, int | None] | int | None

INTERRUPTED = 130  # as shells tell a Ctrl-C


def run(verb: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> NoReturn:
    """Runs a verb; what its user can mend is said in one message, without a traceback.

    A verb that has much to read or to reckon does that before it gives a coroutine, if it gives one: in a running loop
    a Ctrl-C would wait for its end.
    """
    from common.settings import load_settings
    from common.telemetry import logs

    try:
        settings = load_settings()
        logs.configure(settings.log_level if "log_level" in settings.model_fields_set else "warning", "console")
        running = verb(*args, **kwargs)
        sys.exit(asyncio.run(running) if isinstance(running, Coroutine) else running)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        from regulars.cli.mendable import MENDABLE

        faults = list(_leaves(error))
        if not all(isinstance(fault, MENDABLE) for fault in faults):
            raise
        typer.echo("\n".join(dict.fromkeys(f"regulars: {fault}" for fault in faults)), err=True)
        sys.exit(1)


def run_at(folder: Path, verb: Callable[Concatenate["Home", P], Result], *args: P.args, **kwargs: P.kwargs) -> NoReturn:
    """Runs a verb of the installation in a folder."""
    from regulars.home import Home

    run(verb, Home(folder), *args, **kwargs)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors themselves, out of the groups that the tasks they came from put them in."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
