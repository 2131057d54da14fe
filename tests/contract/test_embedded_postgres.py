"""What the embedded PostgreSQL promises to survive: kills of us, kills of itself, second openers, odd folders."""

import asyncio
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from common.retry import Retry
from regulars.embedded_postgres import EmbeddedPostgres, FolderInUse, ServerFailed, keeper, kept, leftovers

POLL_S = 0.02
PATIENCE_S = 20.0
STOP_MAX_S = 5.0

# Another process with a server of its own: it commits one row, says the server's pid, then commits on and on.
OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
import asyncpg
from regulars.embedded_postgres import EmbeddedPostgres

async def main():
    server = await EmbeddedPostgres.start(Path(sys.argv[1]))
    connection = await asyncpg.connect(server.dsn())
    await connection.execute("CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY, told boolean)")
    await connection.execute("INSERT INTO note (told) VALUES (true)")
    print(server.pid, flush=True)
    while True:
        await connection.execute("INSERT INTO note (told) VALUES (false)")

asyncio.run(main())
"""


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """A folder on which no server was yet."""
    made = Path(tempfile.mkdtemp(prefix="regulars-test-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A folder whose server was stopped in good order; copying it is a tenth of the work of making one."""
    made = Path(tempfile.mkdtemp(prefix="regulars-test-"))
    asyncio.run(_make_cluster(made))
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def _make_cluster(folder: Path) -> None:
    async with await EmbeddedPostgres.start(folder, durable=False):
        pass


@pytest.fixture
def folder(empty_folder: Path, cluster: Path) -> Path:
    """A folder for one server, which starts on it at once."""
    subprocess.run(["cp", "-a", cluster / "data", empty_folder], check=True)  # noqa: S607 - cp keeps owners
    return empty_folder


@contextmanager
def other_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that has a server on `folder`, and the pid of that server."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any of this."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def connected(server: EmbeddedPostgres) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that may be broken by what the test does to the server."""
    connection = await asyncpg.connect(server.dsn())
    try:
        yield connection
    finally:
        connection.terminate()


async def test_data_is_kept_and_settings_are_durable(empty_folder: Path) -> None:
    async with await EmbeddedPostgres.start(empty_folder) as server, connected(server) as connection:
        await connection.execute("CREATE TABLE note (text text)")
        await connection.execute("INSERT INTO note VALUES ('kept')")
        for name, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "listen_addresses": "",
            "TimeZone": "UTC",
        }.items():
            assert await connection.fetchval(f"SHOW {name}") == value
    assert not server.running
    server = await EmbeddedPostgres.start(empty_folder, settings={"work_mem": "7MB"})
    async with server, connected(server) as connection:
        assert await connection.fetchval("SELECT text FROM note") == "kept"
        assert await connection.fetchval("SHOW work_mem") == "7MB"


async def test_another_role_and_database_have_addresses(folder: Path) -> None:
    async with await EmbeddedPostgres.start(folder, durable=False) as server:
        async with connected(server) as connection:
            await connection.execute('CREATE ROLE "shop keeper" LOGIN')
        keeper = await asyncpg.connect(server.dsn(role="shop keeper", database="postgres"))
        assert await keeper.fetchval("SELECT current_user || '/' || current_database()") == "shop keeper/postgres"
        await keeper.close()


async def test_a_second_opener_is_refused_by_name(folder: Path) -> None:
    async with await EmbeddedPostgres.start(folder, durable=False):
        with pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}:"):
            await EmbeddedPostgres.start(folder)
    with other_process(folder) as (other, _), pytest.raises(FolderInUse, match=f"in use by process {other.pid}:"):
        await EmbeddedPostgres.start(folder)


async def test_our_process_is_killed_and_the_next_starts_at_once(folder: Path) -> None:
    with other_process(folder) as (process, _):
        process.kill()
        process.wait()
        async with await EmbeddedPostgres.start(folder) as server, connected(server) as connection:
            assert await connection.fetchval("SELECT count(*) FROM note WHERE told") == 1


async def test_a_server_that_was_not_told_or_does_not_listen_is_ended_by_the_next_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LEFTOVER_STOP_S", 0.5)
    with other_process(folder) as (process, postmaster):
        os.kill(postmaster, signal.SIGSTOP)
        process.kill()
        process.wait()
        async with await EmbeddedPostgres.start(folder) as server, connected(server) as connection:
            assert server.pid != postmaster
            assert await connection.fetchval("SELECT count(*) FROM note WHERE told") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its starter has ended")
async def test_the_server_ends_with_our_process(folder: Path) -> None:
    with other_process(folder) as (process, postmaster):
        server = psutil.Process(postmaster)
        process.kill()
        process.wait()
        await _until(lambda: not _alive(server))
    assert not (folder / "data" / "postmaster.pid").exists(), "it was killed instead of stopping in good order"


async def test_the_server_is_killed_and_recovers_what_was_committed(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder)
    async with connected(server) as connection, connected(server) as undecided:
        await connection.execute("CREATE TABLE note AS SELECT generate_series(1, 1000) AS id")
        transaction = undecided.transaction()
        await transaction.start()
        await undecided.execute("INSERT INTO note VALUES (0)")
        os.kill(server.pid, signal.SIGKILL)
        await _until(lambda: not server.running)
        await server.stop()
    async with await EmbeddedPostgres.start(folder) as server, connected(server) as connection:
        assert await connection.fetchval("SELECT min(id) FROM note") == 1
        assert await connection.fetchval("SELECT count(*) FROM note") == 1000
    assert "automatic recovery in progress" in server.log.read_text()


async def test_a_crash_of_everything_recovers_what_was_committed(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder)
    async with connected(server) as connection:
        await connection.execute("CREATE TABLE note AS SELECT generate_series(1, 1000) AS id")
        await server.kill()
    async with await EmbeddedPostgres.start(folder) as server, connected(server) as connection:
        assert await connection.fetchval("SELECT count(*) FROM note") == 1000


async def test_one_killed_connection_heals_without_us(folder: Path) -> None:
    async with await EmbeddedPostgres.start(folder, durable=False) as server:
        async with connected(server) as connection:
            os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
                await connection.execute("SELECT 1")
        await _answers(server)
        assert server.running


# ------------------------------------------------------------------------------------------------ kept running


def kill_head(server: EmbeddedPostgres) -> None:
    """As the kernel does when memory is short: what the server had started notices and ends."""
    os.kill(server.pid, signal.SIGKILL)


def kill_all(server: EmbeddedPostgres) -> None:
    """The head last: it would start what it lost again."""
    head = psutil.Process(server.pid)
    head.suspend()
    for process in (*head.children(recursive=True), head):
        process.kill()


def kill_head_of_one_that_hangs(server: EmbeddedPostgres) -> None:
    """A process of the server that does not notice holds its memory, beside which no other server may start."""
    head = psutil.Process(server.pid)
    head.children()[0].suspend()
    head.kill()


def stop_in_order(server: EmbeddedPostgres) -> None:
    """Somebody meant well."""
    os.kill(server.pid, signal.SIGINT)


@pytest.mark.parametrize("end", [kill_head, kill_all, kill_head_of_one_that_hangs, stop_in_order])
async def test_a_kept_server_is_started_again_where_it_was(
    folder: Path, end: Callable[[EmbeddedPostgres], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger=keeper.__name__)  # whatever another test has set up
    async with await EmbeddedPostgres.start(folder) as server, kept(server):
        address = server.dsn()
        async with connected(server) as connection:
            await connection.execute("CREATE TABLE note (id bigint)")
        for number in range(3):
            async with connected(server) as connection:
                await connection.execute("INSERT INTO note VALUES ($1)", number)
                end(server)
                await _until(lambda: caplog.messages[2 * number + 1 :] == ["PostgreSQL is back"])  # noqa: B023 - of now
        async with connected(server) as connection:
            assert await connection.fetchval("SELECT array_agg(id ORDER BY id) FROM note") == [0, 1, 2]
        assert server.dsn() == address
    told = [(record.levelno, record.getMessage().partition(" with ")[0]) for record in caplog.records]
    assert told == [(logging.WARNING, "PostgreSQL has ended"), (logging.WARNING, "PostgreSQL is back")] * 3
    assert not leftovers._servers_on(folder / "data")


async def test_a_kept_server_of_a_long_path_keeps_its_short_address(empty_folder: Path) -> None:
    async with await EmbeddedPostgres.start(empty_folder / ("long" * 30), durable=False) as server, kept(server):
        address, former = server.dsn(), server.pid
        kill_head(server)
        await _until(lambda: server.pid != former)
        await _answers(server)
        assert server.dsn() == address
        short_folder = server._short_folder
    assert short_folder is not None
    assert not short_folder.exists()


async def test_a_kept_server_that_does_not_start_is_given_up_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "AGAIN", Retry(first_ms=10, factor=1.0, max_ms=10, max_tries=3))
    caplog.set_level(logging.WARNING, logger=keeper.__name__)

    async def run_for_good() -> None:
        async with await EmbeddedPostgres.start(folder, durable=False) as server, kept(server):
            break_data(folder)
            kill_head(server)
            await asyncio.Event().wait()

    with pytest.raises(ServerFailed, match="could not find the database system") as raised:
        await run_for_good()
    assert str(raised.value).startswith("PostgreSQL has ended, and 3 tries to start it again failed: ")
    assert [line[:10] for line in caplog.messages] == ["PostgreSQL", "try 1 of 3", "try 2 of 3"]
    assert not leftovers._servers_on(folder / "data")


async def test_an_error_of_who_uses_a_kept_server_comes_out_as_it_is(folder: Path) -> None:
    error = ValueError("not the server's fault")
    with pytest.raises(ValueError, match="fault") as raised:
        async with await EmbeddedPostgres.start(folder, durable=False) as server, kept(server):
            raise error
    assert raised.value is error
    assert not leftovers._servers_on(folder / "data")


async def test_a_start_again_that_succeeds_late_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN", Retry(first_ms=50, factor=1.0, max_ms=50, max_tries=100))
    async with await EmbeddedPostgres.start(folder, durable=False) as server, kept(server):
        for _ in range(2):
            first = server.pid
            mend = break_data(folder)
            kill_head(server)
            await _until(lambda: server.pid != first and not server.running)  # noqa: B023 - of this round
            mend()
            await _answers(server)


async def test_stopping_does_not_wait_for_a_server_that_is_started_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "AGAIN", Retry(first_ms=60_000, factor=1.0, max_ms=60_000, max_tries=3))
    async with await EmbeddedPostgres.start(folder, durable=False) as server, kept(server):
        break_data(folder)
        first = server.pid
        kill_head(server)
        await _until(lambda: server.pid != first and not server.running)
        begun = time.monotonic()
    assert time.monotonic() - begun < STOP_MAX_S


def break_data(folder: Path) -> Callable[[], None]:
    """Takes away what no server starts without; gives what puts it back."""
    needed = folder / "data" / "global" / "pg_control"
    aside = needed.rename(folder / "pg_control")

    def mend() -> None:
        aside.rename(needed)

    return mend


# ------------------------------------------------------------------------------------------- how it is stopped


async def test_stopping_is_bounded_whatever_is_going_on(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder, durable=False)

    async def is_cut_short(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await connection.execute("SELECT pg_sleep(60)")

    async with connected(server) as watching, connected(server) as busy, asyncio.TaskGroup() as group:
        group.create_task(is_cut_short(busy))
        running = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"
        while not await watching.fetchval(running):  # noqa: ASYNC110 - a statement sets no Event
            await asyncio.sleep(POLL_S)  # waits: for the statement to run
        begun = time.monotonic()
        await server.stop()
        assert time.monotonic() - begun < STOP_MAX_S
    await server.stop()  # once more does no harm
    assert not leftovers._servers_on(folder / "data")


async def test_a_server_that_does_not_stop_is_killed(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder, durable=False)
    os.kill(server.pid, signal.SIGSTOP)
    await server.stop(timeout_s=0.2)
    assert not server.running
    async with await EmbeddedPostgres.start(folder, durable=False) as server:
        assert server.running


async def test_a_pid_that_now_is_another_program_does_not_stop_the_start(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder, durable=False)
    await server.kill()
    pid_file = folder / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    with bystander() as other:
        pid_file.write_text("".join([f"{other.pid}\n", *lines[1:]]))
        async with await EmbeddedPostgres.start(folder, durable=False) as server:
            assert server.running
        assert other.poll() is None, "a bystander was killed"


async def test_an_empty_pid_file_does_not_stop_the_start(folder: Path) -> None:
    (folder / "data" / "postmaster.pid").touch()
    async with await EmbeddedPostgres.start(folder, durable=False) as server:
        assert server.running


async def test_a_long_and_odd_path_works_and_leaves_no_temporary_folder(empty_folder: Path) -> None:
    odd = empty_folder / "my \"shop\", 的 'folder'?&#%" / ("long" * 30)
    server = await EmbeddedPostgres.start(odd, durable=False)
    assert server._short_folder is not None
    await server.kill()
    with other_process(odd) as (process, _):
        swept_up_later = Path((odd / "lock").read_text().splitlines()[1])
        assert swept_up_later.exists()
        process.kill()
        process.wait()
    async with await EmbeddedPostgres.start(odd, durable=False) as server, connected(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert not swept_up_later.exists()
    assert server._short_folder is not None
    assert not server._short_folder.exists()


async def test_an_odd_but_short_path_holds_its_own_socket(empty_folder: Path) -> None:
    async with await EmbeddedPostgres.start(empty_folder / 'a "b" :c 的?&#%', durable=False) as server:
        assert server._short_folder is None
        async with connected(server) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_first_start_that_was_killed_half_way_leaves_nothing(empty_folder: Path) -> None:
    half_made = empty_folder / "data.new-half"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    async with await EmbeddedPostgres.start(empty_folder, durable=False):
        assert not half_made.exists()


async def test_data_of_another_major_version_is_refused_and_left_alone(empty_folder: Path) -> None:
    (empty_folder / "data").mkdir()
    (empty_folder / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerFailed, match="made by PostgreSQL 16"):
        await EmbeddedPostgres.start(empty_folder)
    assert [place.name for place in (empty_folder / "data").iterdir()] == ["PG_VERSION"]


async def test_a_server_that_cannot_start_says_why_and_gives_the_folder_back(folder: Path) -> None:
    with pytest.raises(ServerFailed, match='invalid value for parameter "shared_buffers"'):
        await EmbeddedPostgres.start(folder, settings={"shared_buffers": "much"}, durable=False)
    async with await EmbeddedPostgres.start(folder, durable=False) as server:
        assert server.running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the folder to another account")
async def test_folders_above_are_opened_no_further_than_needed(empty_folder: Path) -> None:
    home = empty_folder / "home"
    home.mkdir(mode=0o700)
    async with await EmbeddedPostgres.start(home / "shop", durable=False):
        assert stat.S_IMODE(home.stat().st_mode) == 0o701
        assert stat.S_IMODE((home / "shop" / "data").stat().st_mode) == 0o700


async def test_every_test_gets_an_empty_database(fresh_database: str, postgres_dsn: str) -> None:
    assert fresh_database != postgres_dsn
    connection = await asyncpg.connect(fresh_database)
    await connection.execute("CREATE TABLE note (text text)")
    await connection.close()


async def test_and_the_next_test_another(fresh_database: str) -> None:
    connection = await asyncpg.connect(fresh_database)
    assert await connection.fetchval("SELECT to_regclass('note')") is None
    await connection.close()


def _alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended but that nobody has asked about yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def _answers(server: EmbeddedPostgres) -> None:
    """Wait until it takes connections again."""

    async def does() -> bool:
        try:
            async with connected(server) as connection:
                return bool(await connection.fetchval("SELECT true"))
        except (asyncpg.PostgresError, OSError):
            return False

    deadline = time.monotonic() + PATIENCE_S
    while not await does():
        assert time.monotonic() < deadline
        await asyncio.sleep(POLL_S)  # waits: for the server's recovery, which tells nobody


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(POLL_S)  # waits: for another process to end, which tells nobody
