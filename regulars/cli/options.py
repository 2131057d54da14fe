"""Options that several verbs take."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from regulars.asking import Elsewhere

Folder = Annotated[Path, typer.Option("--data", help="Folder of this installation.")]
Time = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="As 2018-09-01T00:00:00-03:00.")]
OfShop = Annotated[str, typer.Option("--shop", help="The shop it is for.")]
OnlyShop = Annotated[str | None, typer.Option("--shop", help="Only this shop's.")]
CustomerId = Annotated[str, typer.Argument(help="An id of the customer.")]

ItsUrl = Annotated[str | None, typer.Option("--url", help="A running system elsewhere; its key is in REGULARS_KEY.")]
Urls = Annotated[
    list[str] | None, typer.Option("--url", help="A system elsewhere: one address, or name=address per service.")
]
ItsKey = Annotated[
    str | None,
    typer.Option("--key", help="Its API key. Better REGULARS_KEY in the environment: others see this."),
]


def given_elsewhere(urls: list[str] | None, key: str | None) -> "Elsewhere | None":
    """The system elsewhere that `--url` and `--key` name, if they name one."""
    from regulars.asking import elsewhere_of

    try:
        return elsewhere_of(urls, key)
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from None
