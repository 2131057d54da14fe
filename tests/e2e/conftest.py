"""A folder for each test's installation; and a real order history: named by $OLIST, or beside the repository."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

ARCHIVE = Path(__file__).parents[2] / "../shared/data/olist.tar.zst"
UNPACK_TIMEOUT_S = 60


def cannot_check(reason: str) -> NoReturn:
    """Skip where a person may lack the data; fail where nobody would see the skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have the Olist history: {reason}", pytrace=False)
    pytest.skip(f"NOT CHECKED AGAINST A REAL SHOP'S HISTORY: {reason}")


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that is gone afterwards. Not pytest's own: a second run closes that to PostgreSQL's account."""
    folder = Path(tempfile.mkdtemp(prefix="regulars-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's."""
    with temporary() as folder:
        yield folder


@pytest.fixture(scope="session")
def olist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the Olist files."""
    if given := os.environ.get("OLIST"):
        return Path(given)
    if not ARCHIVE.exists():
        cannot_check("set OLIST to the folder with its CSV files")
    tar = shutil.which("tar")
    if tar is None or shutil.which("zstd") is None:
        cannot_check("tar and zstd, which unpack its archive, are not both installed; or set OLIST to a folder")
    folder = tmp_path_factory.mktemp("olist")
    subprocess.run([tar, "--zstd", "-xf", ARCHIVE, "-C", folder], check=True, timeout=UNPACK_TIMEOUT_S)
    return next(folder.rglob("olist_orders_dataset.csv")).parent
