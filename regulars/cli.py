"""The `regulars` command: what its verbs take, here; what they do, one file per verb beside."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import asyncpg
import httpx
import typer
from aiokafka.errors import KafkaError

from common.settings import SettingsError, load_settings
from common.shops import ShopsError
from common.telemetry import logs
from ingest.connectors.known import CONNECTORS
from regulars.asking import Elsewhere, elsewhere_of
from regulars.bench import NAMES as BENCHMARKS
from regulars.embedded_postgres import FolderInUse, ServerFailed
from regulars.history.known import Kind, file_of
from regulars.history.olist import OlistError
from regulars.home import DEFAULT_FOLDER, DEFAULT_SHOP, Home
from regulars.kafka_broker import KafkaFailed, KafkaUnavailable
from regulars.services import Name

# Plain tracebacks, and those of bugs alone: the pretty ones are cut to the terminal and print what variables hold.
app = typer.Typer(
    help="Regulars: an event-driven CRM for online shops.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
letters = typer.Typer(help="What could not be handled, kept to be replayed.", no_args_is_help=True)
sources = typer.Typer(help="A shop's connections to platforms.", no_args_is_help=True)
customers = typer.Typer(help="Who is who among a shop's customers; the system must be running.", no_args_is_help=True)
segments = typer.Typer(help="A shop's segments, its own among them; the system must be running.", no_args_is_help=True)
privacy = typer.Typer(help="A person's own data: shown whole, or forgotten.", no_args_is_help=True)
vault = typer.Typer(help="The vault's master key.", no_args_is_help=True)
audit = typer.Typer(help="Who did what: keys, sources, replays, people.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(customers, name="customers")
app.add_typer(segments, name="segments")
app.add_typer(privacy, name="privacy")
app.add_typer(vault, name="vault")
app.add_typer(audit, name="audit")
app.add_typer(sources, name="sources")
app.add_typer(letters, name="dead-letters")

Folder = Annotated[Path, typer.Option("--data", help="Folder of this installation.")]
Time = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="As 2018-09-01T00:00:00-03:00.")]
Orders = Annotated[int | None, typer.Option(help="A sample: whole customers, until they have this many orders.", min=1)]


P = ParamSpec("P")

# What whoever runs the command can mend; anything else is a bug of ours and shows its traceback.
MENDABLE = (
    SettingsError,
    ShopsError,
    FolderInUse,
    ServerFailed,
    KafkaFailed,
    KafkaUnavailable,
    OlistError,
    OSError,
    ValueError,
    httpx.HTTPError,
    KafkaError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
INTERRUPTED = 130  # as shells tell a Ctrl-C


def _run(
    verb: Callable[P, Coroutine[Any, Any, int | None] | int | None], *args: P.args, **kwargs: P.kwargs
) -> NoReturn:
    """Runs a verb; what its user can mend is said in one message, without a traceback.

    A verb that has much to read or to reckon does that before it gives a coroutine, if it gives one: in a running loop
    a Ctrl-C would wait for its end.
    """
    try:
        settings = load_settings()
        logs.configure(settings.log_level if "log_level" in settings.model_fields_set else "warning", "console")
        running = verb(*args, **kwargs)
        sys.exit(asyncio.run(running) if isinstance(running, Coroutine) else running)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        faults = list(_leaves(error))
        if not all(isinstance(fault, MENDABLE) for fault in faults):
            raise
        typer.echo("\n".join(dict.fromkeys(f"regulars: {fault}" for fault in faults)), err=True)
        sys.exit(1)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors themselves, out of the groups that the tasks they came from put them in."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


ItsUrl = Annotated[str | None, typer.Option("--url", help="A running system elsewhere; its key is in REGULARS_KEY.")]
ItsKey = Annotated[
    str | None,
    typer.Option("--key", help="Its API key. Better REGULARS_KEY in the environment: others see this."),
]


def _elsewhere(urls: list[str] | None, key: str | None) -> Elsewhere | None:
    try:
        return elsewhere_of(urls, key)
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from None


@app.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Kafka as the bus: REGULARS_KAFKA, or a broker of its own.")
    ] = False,
) -> None:
    """Run everything in one process; data stays in ./.regulars."""
    from regulars.up import up as verb

    _run(verb, folder, kafka, **({} if port is None else {"port": port}))


@app.command()
def demo(
    folder: Folder = Path(".regulars/demo"),
    seed: Annotated[int, typer.Option(help="The same seed, the same shop.")] = 1,
    leave: Annotated[
        bool, typer.Option("--exit", help="End when it is over: status 0 if all checks hold, else 1.")
    ] = False,
) -> None:
    """A generated shop on an accelerated clock: 60 days in about a minute, then what was checked."""
    from regulars.demo import demo as verb

    _run(verb, folder, seed, leave)


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


def _known(what: list[str]) -> tuple[Kind, Path]:
    """A known data set: its name and its folder."""
    name, *folder = what
    if name not in list(Kind):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, Kind))}; files need --mapping")
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


@app.command("import")
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
    elsewhere = _elsewhere([url] if url is not None else None, key)
    if mapping is None:
        kind, path = _known(what)
        if kind == Kind.OLIST:
            from regulars.history.import_verb import import_history

            if live or check or refused:
                raise typer.BadParameter("--live, --check and --refused are for files with --mapping")
            if file is not None:
                raise typer.BadParameter("--file is not for olist")
            _run(import_history, kind, path, folder, until, orders, elsewhere)
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
        _run(check_files, files, mapping, shop, live, refused)
    _run(import_files, files, mapping, shop, folder, live, until, elsewhere, refused)


@app.command()
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
    """A history through the same decisions in virtual time: who would have been told what, when."""
    from regulars.history.simulate_verb import simulate as verb
    from regulars.history.simulate_verb import simulate_files

    if segments and customers is None:
        raise typer.BadParameter("--segment adds columns to the file of --customers")
    if mapping is None:
        kind, path = _known(what)
        if kind == Kind.OLIST:
            if file is not None:
                raise typer.BadParameter("--file is not for olist")
            _run(verb, kind, path, at, orders, json, customers, segments or [])
        (what, mapping), shop = _mapped(kind, path, file), shop or kind
    elif file is not None:
        raise typer.BadParameter("--file is for known data sets")
    if orders is not None:
        raise typer.BadParameter("--orders is for olist")
    _run(simulate_files, _files(what), mapping, shop or DEFAULT_SHOP, at, json, customers, segments or [])


@app.command()
def migrate() -> None:
    """Make the database of REGULARS_DATABASE fit for all services."""
    from regulars.migrate import migrate_all as verb

    _run(verb)


@keys.command("create")
def create_key(
    scope: Annotated[str, typer.Option(help="Of ingest, read, operate, admin, internal; several with commas.")],
    shop: Annotated[str, typer.Option(help="The shop it is for.")] = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make an API key and print it, this once."""
    from regulars.keys import create as verb

    _run(verb, folder, shop, scope.split(","))


OnlyShop = Annotated[str | None, typer.Option("--shop", help="Only this shop's.")]


@keys.command("list")
def list_keys(shop: OnlyShop = None, folder: Folder = DEFAULT_FOLDER) -> None:
    """Which keys there are, what they may do, and whether they are good."""
    from regulars.keys import show

    _run(show, Home(folder), shop)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Its id: the eight characters behind rk_.")],
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """End a key for good."""
    from regulars.keys import revoke

    _run(revoke, Home(folder), key_id)


@audit.command("list")
def list_acts(
    shop: OnlyShop = None,
    limit: Annotated[int, typer.Option(help="The last so many.", min=1, max=100_000)] = 100,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Who made, revoked, rotated, replayed, merged, exported or erased what, and when."""
    from regulars.audit import show

    _run(show, Home(folder), shop, limit)


OfShop = Annotated[str, typer.Option("--shop", help="The shop it is for.")]
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


@sources.command("add")
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
    from regulars.sources import add, rest_of, secret_of

    def verb(home: Home) -> Coroutine[Any, Any, None]:
        rest = rest_of(rest_url, rest_key_file, rest_since)
        return add(home, shop, kind, name, option or [], secret_of(secret, secret_file), rest)

    _run(verb, Home(folder))


@sources.command("list")
def list_sources(shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """A shop's sources, and how each does."""
    from regulars.sources import show

    _run(show, Home(folder), shop)


@sources.command("rotate")
def rotate_source(
    source_id: Annotated[str, typer.Argument(help="Which.")],
    shop: OfShop = DEFAULT_SHOP,
    secret: PlatformsSecret = None,
    secret_file: SecretFile = None,
    old_valid_hours: Annotated[int, typer.Option(help="How long the old one stays good.", min=0, max=2160)] = 168,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Give a source another secret; the one before stays good for a while."""
    from regulars.sources import rotate, secret_of

    def verb(home: Home) -> Coroutine[Any, Any, None]:
        return rotate(home, shop, source_id, secret_of(secret, secret_file), old_valid_hours)

    _run(verb, Home(folder))


@sources.command("rest")
def ask_source(
    source_id: Annotated[str, typer.Argument(help="Which.")],
    shop: OfShop = DEFAULT_SHOP,
    rest_url: Annotated[str | None, typer.Option(help="The shop's address.")] = None,
    rest_key_file: RestKeyFile = None,
    rest_since: RestSince = None,
    stop: Annotated[bool, typer.Option("--stop", help="Ask no more, and forget the credential.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Ask a platform's REST API from now on for what its webhooks missed, or stop that."""
    from regulars.sources import rest, rest_of

    def verb(home: Home) -> Coroutine[Any, Any, None]:
        access = rest_of(rest_url, rest_key_file, rest_since)
        if stop == (access is not None):
            raise ValueError("either --rest-url and --rest-key-file, or --stop")
        return rest(home, shop, source_id, access)

    _run(verb, Home(folder))


@sources.command("remove")
def remove_source(
    source_id: Annotated[str, typer.Argument(help="Which.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Remove a source: what it brought stays, what comes to its address is refused."""
    from regulars.sources import remove

    _run(remove, Home(folder), shop, source_id)


CustomerId = Annotated[str, typer.Argument(help="An id of the customer.")]


@customers.command("show")
def show_customer(customer_id: CustomerId, shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """All names of a customer, contact data masked."""
    from regulars.people import show

    _run(show, Home(folder), shop, customer_id)


@customers.command("explain")
def explain_customers(
    customer_id: CustomerId,
    other: Annotated[str, typer.Argument(help="Another id.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Why two ids are one customer, step by step, or that they are not."""
    from regulars.people import explain

    _run(explain, Home(folder), shop, customer_id, other)


@customers.command("merge")
def merge_customers(
    customer_id: CustomerId,
    into: Annotated[str, typer.Argument(help="The one who lives on.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make two customers one, whatever the rules say."""
    from regulars.people import merge

    _run(merge, Home(folder), shop, customer_id, into)


@customers.command("split")
def split_customer(
    customer_id: CustomerId,
    reason: Annotated[str, typer.Option(help="Why; kept sealed.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Undo the merge of an id; the two are kept apart from then on."""
    from regulars.people import split

    _run(split, Home(folder), shop, customer_id, reason)


Urls = Annotated[
    list[str] | None, typer.Option("--url", help="A system elsewhere: one address, or name=address per service.")
]
Json = Annotated[Path | None, typer.Option("--json", help="Write it here, readable by you alone; none: print it.")]


SegmentName = Annotated[str, typer.Argument(help="The segment.")]
SegmentFile = Annotated[Path, typer.Argument(help="YAML or JSON: segment, names, in.", exists=True, dir_okay=False)]


@segments.command("list")
def list_segments(shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """Every segment, how many customers are in it, its kind (grid, preset or own) and its name."""
    from regulars.segments import show_all

    _run(show_all, Home(folder), shop)


@segments.command("show")
def show_segment(segment: SegmentName, shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """A segment as a file to edit, and how far its last edit is felt."""
    from regulars.segments import show

    _run(show, Home(folder), shop, segment)


@segments.command("create")
def create_segment(
    file: SegmentFile,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make a segment; `copy_of` instead of `in` takes the rule of another."""
    from regulars.segments import create, words_of

    _run(lambda: create(Home(folder), shop, words_of(file)))


@segments.command("edit")
def edit_segment(
    file: SegmentFile,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Make a segment's next version. A line `version: N`, as `show` prints it, refuses the edit if N is not the last
    version any more."""
    from regulars.segments import edit, words_of

    _run(lambda: edit(Home(folder), shop, words_of(file)))


@segments.command("archive")
def archive_segment(segment: SegmentName, shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """Archive a segment: everybody leaves it, its versions stay."""
    from regulars.segments import archive

    _run(archive, Home(folder), shop, segment)


@segments.command("preview")
def preview_segment(
    file: SegmentFile,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """How many customers a rule would hold for, and some of them; nothing is saved."""
    from regulars.segments import preview, words_of

    _run(lambda: preview(Home(folder), shop, words_of(file)))


@segments.command("why")
def why_in_segment(
    customer_id: Annotated[str, typer.Argument(help="An id of the customer.")],
    segment: SegmentName,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Why a customer is in a segment, or is not, and until when."""
    from regulars.segments import why

    _run(why, Home(folder), shop, customer_id, segment)


@segments.command("put-list")
def put_segments_list(
    name: Annotated[str, typer.Argument(help="The static list.")],
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON or JSON of customers' ids.", exists=True, dir_okay=False)],
    empty: Annotated[bool, typer.Option("--empty", help="Empty the list if the file holds nobody.")] = False,
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """A static list holds the customers of a file from now on, and no others."""
    from regulars.segments import put_list

    _run(put_list, Home(folder), shop, name, file, empty)


@segments.command("delete-list")
def delete_segments_list(
    name: Annotated[str, typer.Argument(help="The static list.")],
    shop: OfShop = DEFAULT_SHOP,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """A static list goes, and everybody is taken off it; refused while a live segment asks about it."""
    from regulars.segments import delete_list

    _run(delete_list, Home(folder), shop, name)


@privacy.command("export")
def export_person(
    customer: Annotated[str | None, typer.Argument(help="Any id of the person.")] = None,
    request: Annotated[int | None, typer.Option(help="Everybody whom this request is about; then it is done.")] = None,
    json: Json = None,
    shop: OfShop = DEFAULT_SHOP,
    url: Urls = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Everything about a person, from all services, as one JSON document."""
    from regulars.privacy import export, export_request

    if (customer is None) == (request is None):
        raise typer.BadParameter("name either a customer or a --request")
    if customer is not None:
        _run(export, Home(folder), shop, customer, json, _elsewhere(url, key))
    elif request is not None:
        _run(export_request, Home(folder), shop, request, json, _elsewhere(url, key))


@privacy.command("erase")
def erase_person(
    customer: Annotated[str, typer.Argument(help="Any id of the person.")],
    shop: OfShop = DEFAULT_SHOP,
    url: Urls = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Forget a person for good, in the whole system, and print what was removed."""
    from regulars.privacy import erase

    _run(erase, Home(folder), shop, customer, _elsewhere(url, key))


@privacy.command("list")
def list_requests(
    everything: Annotated[bool, typer.Option("--all", help="Those that are done too.")] = False,
    shop: OfShop = DEFAULT_SHOP,
    url: Urls = None,
    key: ItsKey = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """What people, or a platform for them, asked of their data."""
    from regulars.privacy import show

    _run(show, Home(folder), shop, everything, _elsewhere(url, key))


@vault.command("rotate")
def rotate_master(
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Then forget the old ones; backups need them.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Seal everything with the present master key, while the system runs."""
    from regulars.vault import rotate

    _run(rotate, Home(folder), drop_old)


@vault.command("new-key")
def new_master(folder: Folder = DEFAULT_FOLDER) -> None:
    """Make this installation's next master key; it is used from the next start on."""
    from regulars.vault import new_key

    _run(new_key, Home(folder))


@app.command()
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
    from regulars.reprocess import reprocess as verb

    if (source is None) == (connector is None):
        raise typer.BadParameter("name either a --source or a --connector")
    elsewhere = _elsewhere([url] if url is not None else None, key)
    aware = since if since.tzinfo else since.replace(tzinfo=UTC)
    _run(verb, Home(folder), shop, source, connector, aware, until, dry_run, elsewhere)


@letters.command("list")
def list_letters(
    service: Annotated[Name | None, typer.Option(help="Only this service's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The replayed ones too.")] = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """What could not be decoded or decided, and why."""
    from regulars.letters import show

    _run(show, Home(folder), service, everything)


@letters.command("replay")
def replay_letters(
    service: Annotated[Name, typer.Argument(help="Whose letters.")],
    ids: Annotated[list[int] | None, typer.Argument(help="Which; none named: all not replayed yet.")] = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Put dead letters back on the road."""
    from regulars.letters import replay

    _run(replay, Home(folder), service, ids)


@app.command()
def doctor(folder: Folder = DEFAULT_FOLDER) -> None:
    """What is missing here, and how to get it."""
    from regulars.doctor import doctor as verb

    _run(verb, folder)


@app.command()
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

    _run(verb, names or [], quick, json)
