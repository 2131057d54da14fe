"""What `regulars segments` takes."""

from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.options import CustomerId, Folder, OfShop
from regulars.cli.running import run_at
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP

group = typer.Typer(help="A shop's segments, its own among them; the system must be running.", no_args_is_help=True)

SegmentName = Annotated[str, typer.Argument(help="The segment.")]
SegmentFile = Annotated[Path, typer.Argument(help="YAML or JSON: segment, names, in.", exists=True, dir_okay=False)]
ListName = Annotated[str, typer.Argument(help="The static list.")]


@group.command("list")
def list_segments(shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """Every segment, how many customers are in it, its kind (grid, preset or own) and its name."""
    from regulars.verbs.segments import show_all

    run_at(folder, show_all, shop)


@group.command("show")
def show_segment(segment: SegmentName, shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """A segment as a file to edit, and how far its last edit is felt."""
    from regulars.verbs.segments import show

    run_at(folder, show, shop, segment)


@group.command("create")
def create_segment(
    file: SegmentFile,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make a segment; `copy_of` instead of `in` takes the rule of another."""
    from regulars.verbs.segments import create, words_of

    run_at(folder, lambda home: create(home, shop, words_of(file)))


@group.command("edit")
def edit_segment(
    file: SegmentFile,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make a segment's next version. A line `version: N`, as `show` prints it, refuses the edit if N is not the last
    version any more."""
    from regulars.verbs.segments import edit, words_of

    run_at(folder, lambda home: edit(home, shop, words_of(file)))


@group.command("archive")
def archive_segment(segment: SegmentName, shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """Archive a segment: everybody leaves it, its versions stay."""
    from regulars.verbs.segments import archive

    run_at(folder, archive, shop, segment)


@group.command("preview")
def preview_segment(
    file: SegmentFile,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """How many customers a rule would hold for, and some of them; nothing is saved."""
    from regulars.verbs.segments import preview, words_of

    run_at(folder, lambda home: preview(home, shop, words_of(file)))


@group.command("why")
def why_in_segment(
    customer_id: CustomerId,
    segment: SegmentName,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Why a customer is in a segment, or is not, and until when."""
    from regulars.verbs.segments import why

    run_at(folder, why, shop, customer_id, segment)


@group.command("put-list")
def put_segments_list(
    name: ListName,
    file: Annotated[
        Path, typer.Argument(help="Customers' ids: .csv, .txt, .ndjson, .jsonl or .json.", exists=True, dir_okay=False)
    ],
    empty: Annotated[bool, typer.Option("--empty", help="Empty the list if the file holds nobody.")] = False,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """A static list holds the customers of a file from now on, and no others."""
    from regulars.verbs.segments import put_list

    run_at(folder, put_list, shop, name, file, empty)


@group.command("delete-list")
def delete_segments_list(
    name: ListName,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """A static list goes, and everybody is taken off it; refused while a live segment asks about it."""
    from regulars.verbs.segments import delete_list

    run_at(folder, delete_list, shop, name)
