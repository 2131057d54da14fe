"""The real order history that some of these tests need: named by $OLIST, or beside the repository, never in it."""

import os
import shutil
import subprocess
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
