"""What `regulars sources` takes."""

from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any

import typer

from ingest.connectors.known import CONNECTORS
from regulars.cli.options import Folder, OfShop
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP

group = typer.Typer(help="A shop's connections to platforms.", no_args_is_help=True)

SourceId = Annotated[str, typer.Argument(help="Which.")]
PlatformsSecret = Annotated[
    str | None,
    typer.Option(help="The platform's; none: ours, where it is ours to make. Better a --secret-file: others see this."),
]
SecretFile = Annotated[str | None, typer.Option(help="A file that holds it; - is the standard input.")]
RestKeyFile = Annotated[str | None, typer.Option(help="A file that holds its credential; - is the standard input.")]
RestSince = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="From when on; none: from where it came to, else all its time."),
]


@group.command("add")
def add_source(
    kind: Annotated[str, typer.Argument(help=f"The platform: {', '.join(CONNECTORS)}.")],
    shop: OfShop = DEFAULT_SHOP,
    name: Annotated[str, typer.Option(help="To tell two of a kind apart.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="name=value; docs/platforms says which.")] = None,
    secret: PlatformsSecret = None,
    secret_file: SecretFile = None,
    rest_url: Annotated[str | None, typer.Option(help="The shop's address, to ask for what webhooks miss.")] = None,
    rest_key_file: RestKeyFile = None,
    rest_since: RestSince = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Connect a platform, and print where it is to send; a secret of ours is printed this once."""
    from regulars.home import Home
    from regulars.verbs.sources import add, rest_of, secret_of

    def verb(home: Home) -> Coroutine[Any, Any, None]:
        rest = rest_of(rest_url, rest_key_file, rest_since)
        return add(home, shop, kind, name, option or [], secret_of(secret, secret_file), rest)

    run_at(folder, verb)


@group.command("list")
def list_sources(shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """A shop's sources, and how each does."""
    from regulars.verbs.sources import show

    run_at(folder, show, shop)


@group.command("rotate")
def rotate_source(
    source_id: SourceId,
    shop: OfShop = DEFAULT_SHOP,
    secret: PlatformsSecret = None,
    secret_file: SecretFile = None,
    old_valid_hours: Annotated[int, typer.Option(help="How long the old one stays good.", min=0, max=2160)] = 168,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Give a source another secret; the one before stays good for a while."""
    from regulars.verbs.sources import rotate, secret_of

    run_at(folder, lambda home: rotate(home, shop, source_id, secret_of(secret, secret_file), old_valid_hours))


@group.command("rest")
def ask_source(
    source_id: SourceId,
    shop: OfShop = DEFAULT_SHOP,
    rest_url: Annotated[str | None, typer.Option(help="The shop's address.")] = None,
    rest_key_file: RestKeyFile = None,
    rest_since: RestSince = None,
    stop: Annotated[bool, typer.Option("--stop", help="Ask no more, and forget the credential.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Ask a platform's REST API from now on for what its webhooks missed, or stop that."""
    from regulars.home import Home
    from regulars.verbs.sources import rest, rest_of

    def verb(home: Home) -> Coroutine[Any, Any, None]:
        access = rest_of(rest_url, rest_key_file, rest_since)
        if stop == (access is not None):
            raise ValueError("either --rest-url and --rest-key-file, or --stop")
        return rest(home, shop, source_id, access)

    run_at(folder, verb)


@group.command("remove")
def remove_source(
    source_id: SourceId,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Remove a source: what it brought stays, what comes to its address is refused."""
    from regulars.verbs.sources import remove

    run_at(folder, remove, shop, source_id)
