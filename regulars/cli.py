"""The `regulars` command: one line per verb here, one file per verb beside."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import asyncpg
import httpx
import typer
from aiokafka.errors import KafkaError

from common.settings import SettingsError, load_settings
from common.shops import ShopsError
from common.telemetry import logs
from regulars.bench import NAMES as BENCHMARKS
from regulars.embedded_postgres import FolderInUse, ServerFailed
from regulars.histories import Kind
from regulars.home import DEFAULT_FOLDER, DEFAULT_SHOP, Home
from regulars.kafka_broker import KafkaFailed, KafkaUnavailable
from regulars.olist import OlistError
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
connections = typer.Typer(help="A shop's connections to platforms.", no_args_is_help=True)
acts = typer.Typer(help="Who did what: keys, sources, replays, people.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(acts, name="audit")
app.add_typer(connections, name="sources")
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


def _run(verb: Callable[P, Coroutine[Any, Any, int | None] | None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Runs a verb; what its user can mend is said in one message, without a traceback.

    A verb that has much to read or to reckon does that before it gives a coroutine, if it gives one: in a running loop
    a Ctrl-C would wait for its end.
    """
    try:
        settings = load_settings()
        logs.configure(settings.log_level if "log_level" in settings.model_fields_set else "warning", "console")
        running = verb(*args, **kwargs)
        sys.exit(asyncio.run(running) if running is not None else 0)
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


@app.command("import")
def import_(
    kind: Annotated[Kind, typer.Argument(help="What the files are.")],
    path: Annotated[Path, typer.Argument(help="Folder with the files.")],
    folder: Folder = DEFAULT_FOLDER,
    until: Time = None,
    orders: Orders = None,
    url: Annotated[str | None, typer.Option(help="A running system elsewhere; with --key.")] = None,
    key: Annotated[str | None, typer.Option(help="Its API key, scopes ingest and operate.")] = None,
) -> None:
    """A shop's history into the system, resumable at any point; with --until, the clock is frozen there."""
    from regulars.import_history import import_history as verb

    if (url is None) != (key is None):
        raise typer.BadParameter("--url and --key go together")
    elsewhere = (url, key) if url is not None and key is not None else None
    _run(verb, kind, path, folder, until, orders, elsewhere)


@app.command()
def simulate(
    kind: Annotated[Kind, typer.Argument(help="What the files are.")],
    path: Annotated[Path, typer.Argument(help="Folder with the files.")],
    at: Time = None,
    orders: Orders = None,
    json: Annotated[Path | None, typer.Option(help="Write the counts here.")] = None,
    customers: Annotated[Path | None, typer.Option(help="Write one row per customer here (CSV).")] = None,
) -> None:
    """A history through the same decisions in virtual time: who would have been told what, when."""
    from regulars.simulate import simulate as verb

    _run(verb, kind, path, at, orders, json, customers)


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


@acts.command("list")
def list_acts(
    shop: OnlyShop = None,
    limit: Annotated[int, typer.Option(help="The last so many.", min=1, max=100_000)] = 100,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Who made, revoked, rotated, replayed, merged, exported or erased what, and when."""
    from regulars.audit import show

    _run(show, Home(folder), shop, limit)


OfShop = Annotated[str, typer.Option("--shop", help="The shop it is for.")]
PlatformsSecret = Annotated[str | None, typer.Option(help="The platform's; none: ours, where it is ours to make.")]


@connections.command("add")
def add_source(
    kind: Annotated[str, typer.Argument(help="The platform: aftership, kdniao, kuaidi100, woocommerce.")],
    shop: OfShop = DEFAULT_SHOP,
    name: Annotated[str, typer.Option(help="To tell two of a kind apart.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="name=value; docs/platforms says which.")] = None,
    secret: PlatformsSecret = None,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Connect a platform, and print where it is to send; a secret of ours is printed this once."""
    from regulars.sources import add

    _run(add, Home(folder), shop, kind, name, option or [], secret)


@connections.command("list")
def list_sources(shop: OfShop = DEFAULT_SHOP, folder: Folder = DEFAULT_FOLDER) -> None:
    """A shop's sources, and how each does."""
    from regulars.sources import show

    _run(show, Home(folder), shop)


@connections.command("rotate")
def rotate_source(
    source_id: Annotated[str, typer.Argument(help="Which.")],
    shop: OfShop = DEFAULT_SHOP,
    secret: PlatformsSecret = None,
    old_valid_hours: Annotated[int, typer.Option(help="How long the old one stays good.", min=0, max=2160)] = 168,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Give a source another secret; the one before stays good for a while."""
    from regulars.sources import rotate

    _run(rotate, Home(folder), shop, source_id, secret, old_valid_hours)


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
