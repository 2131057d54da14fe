"""What `regulars customers` takes."""

from typing import Annotated

import typer

from regulars.cli.options import CustomerId, Folder, OfShop
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP

group = typer.Typer(help="Who is who among a shop's customers; the system must be running.", no_args_is_help=True)


@group.command("show")
def show_customer(customer_id: CustomerId, shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """All names of a customer, contact data masked."""
    from regulars.verbs.customers import show

    run_at(folder, show, shop, customer_id)


@group.command("explain")
def explain_customers(
    customer_id: CustomerId,
    other: Annotated[str, typer.Argument(help="Another id.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Why two ids are one customer, step by step, or that they are not."""
    from regulars.verbs.customers import explain

    run_at(folder, explain, shop, customer_id, other)


@group.command("merge")
def merge_customers(
    customer_id: CustomerId,
    into: Annotated[str, typer.Argument(help="The one who lives on.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make two customers one, whatever the rules say."""
    from regulars.verbs.customers import merge

    run_at(folder, merge, shop, customer_id, into)


@group.command("split")
def split_customer(
    customer_id: CustomerId,
    reason: Annotated[str, typer.Option(help="Why; kept sealed.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Undo the merge of an id; the two are kept apart from then on."""
    from regulars.verbs.customers import split

    run_at(folder, split, shop, customer_id, reason)
