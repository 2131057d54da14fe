"""What `regulars reprocess` takes."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from regulars.cli.options import Folder, ItsKey, ItsUrl, OfShop, Time, given_elsewhere
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP


def reprocess(
    since: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"], help="Received from then on.")
    ],
    until: Time = None,
    source: Annotated[str | None, typer.Option(help="One source's deliveries.")] = None,
    connector: Annotated[str | None, typer.Option(help="Those of all sources of a kind.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    shop: OfShop = DEFAULT_SHOP,
    url: ItsUrl = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Convert kept deliveries again, after a connector was repaired: only what is new counts."""
    from regulars.verbs.reprocess import reprocess as verb

    if (source is None) == (connector is None):
        raise typer.BadParameter("name either a --source or a --connector")
    elsewhere = given_elsewhere([url] if url is not None else None, key)
    aware = since if since.tzinfo else since.replace(tzinfo=UTC)
    run_at(folder, verb, shop, source, connector, aware, until, dry_run, elsewhere)
