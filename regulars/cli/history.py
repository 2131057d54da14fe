"""What `regulars import` and `regulars simulate` take: a shop's history, of files or of a known data set."""

from pathlib import Path
from typing import Annotated

import typer

from regulars.cli.options import Folder, ItsKey, ItsUrl, Time, given_elsewhere
from regulars.cli.running import run
from regulars.defaults import DEFAULT_FOLDER, DEFAULT_SHOP
from regulars.history.known import Kind, file_of

What = Annotated[
    list[str], typer.Argument(help=f"Files, with --mapping; or one of {', '.join(Kind)} and the folder of its files.")
]
MappingOf = Annotated[
    str | None, typer.Option("--mapping", help="What a row of the files is: a YAML file, or a packaged mapping's name.")
]
ShopOf = Annotated[
    str | None, typer.Option("--shop", help=f"The shop that they are of; {DEFAULT_SHOP}, or of a data set its own.")
]
FileOf = Annotated[str | None, typer.Option("--file", help="Which file of a data set: of cdnow, sample or master.")]
Orders = Annotated[int | None, typer.Option(help="A sample: whole customers, until they have this many orders.", min=1)]


def import_(
    what: What,
    mapping: MappingOf = None,
    shop: ShopOf = None,
    file: FileOf = None,
    live: Annotated[
        bool, typer.Option("--live", help="With --mapping: what happens now, not history (offline sales).")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --mapping: only read and say what it comes to; nothing is sent.")
    ] = False,
    refused: Annotated[Path | None, typer.Option(help="Write refused rows here (NDJSON).")] = None,
    folder: Folder = DEFAULT_FOLDER,
    until: Time = None,
    orders: Orders = None,
    url: ItsUrl = None,
    key: ItsKey = None,
) -> None:
    """A shop's history into the system, resumable at any point; with --until, the clock is frozen there.

    A key for a system elsewhere needs the scopes ingest and operate.

    Exit status 3: everything went in but rows that were refused.
    """
    elsewhere = given_elsewhere([url] if url is not None else None, key)
    if mapping is None:
        kind, path = _known(what)
        if kind == Kind.OLIST:
            from regulars.history.import_verb import import_history

            if live or check or refused:
                raise typer.BadParameter("--live, --check and --refused are for files with --mapping")
            if file is not None:
                raise typer.BadParameter("--file is not for olist")
            run(import_history, kind, path, folder, until, orders, elsewhere)
        if live:
            raise typer.BadParameter("--live is for files with --mapping")
        (what, mapping), shop = _mapped(kind, path, file), shop or kind
    elif file is not None:
        raise typer.BadParameter("--file is for known data sets")
    if orders is not None or (live and until is not None):
        raise typer.BadParameter("--orders is for olist, --until for history")
    shop = shop or DEFAULT_SHOP
    from regulars.files.import_files import check_files, import_files

    files = _files(what)
    if check:
        run(check_files, files, mapping, shop, live, refused)
    run(import_files, files, mapping, shop, folder, live, until, elsewhere, refused)


def simulate(
    what: What,
    mapping: MappingOf = None,
    shop: ShopOf = None,
    file: FileOf = None,
    at: Time = None,
    orders: Orders = None,
    json: Annotated[Path | None, typer.Option(help="Write the counts here.")] = None,
    customers: Annotated[Path | None, typer.Option(help="Write one row per customer here (CSV).")] = None,
    segments: Annotated[
        list[Path] | None,
        typer.Option(
            "--segment", help="A segment's YAML file: two more columns for --customers; several may be given."
        ),
    ] = None,
) -> None:
    """A history through the same decisions in virtual time: who would have been told what, when.

    Exit status 3: all was lived through but rows that were refused.
    """
    from regulars.history.simulate_verb import simulate as verb
    from regulars.history.simulate_verb import simulate_files

    if segments and customers is None:
        raise typer.BadParameter("--segment adds columns to the file of --customers")
    if mapping is None:
        kind, path = _known(what)
        if kind == Kind.OLIST:
            if file is not None:
                raise typer.BadParameter("--file is not for olist")
            run(verb, kind, path, at, orders, json, customers, segments or [])
        (what, mapping), shop = _mapped(kind, path, file), shop or kind
    elif file is not None:
        raise typer.BadParameter("--file is for known data sets")
    if orders is not None:
        raise typer.BadParameter("--orders is for olist")
    run(simulate_files, _files(what), mapping, shop or DEFAULT_SHOP, at, json, customers, segments or [])


def _known(what: list[str]) -> tuple[Kind, Path]:
    """A known data set: its name and its folder."""
    name, *folder = what
    if name not in list(Kind):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(str, Kind))}; files need --mapping")
    if len(folder) != 1:
        raise typer.BadParameter(f"{name} wants the folder with its files")
    return Kind(name), Path(folder[0])


def _mapped(kind: Kind, folder: Path, called: str | None) -> tuple[list[str], str]:
    """A data set that is read by a mapping: its file and the mapping's name."""
    try:
        file, mapping = file_of(kind, folder, called)
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from None
    return [str(file)], mapping


def _files(what: list[str]) -> list[Path]:
    files = [Path(name) for name in what]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise typer.BadParameter(f"no file {', '.join(missing)}")
    return files
