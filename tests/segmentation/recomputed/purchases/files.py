"""Where the files of real shops are: beside the repository, as archives that are unpacked, or in $DATASETS, a folder
with a folder for each. Where they are not, tests say so aloud."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ARCHIVES = Path(__file__).parents[4] / "../shared/data"
UNPACK_TIMEOUT_S = 60


def absent(reason: str) -> NoReturn:
    """Skip where a person may lack the data; fail where nobody would see the skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have the files of real shops: {reason}", pytrace=False)
    pytest.skip(f"NOT CHECKED AGAINST A REAL SHOP'S FILES: {reason}")


@cache
def unpacked(name: str) -> Path:
    """The folder of a data set."""
    if given := os.environ.get("DATASETS"):
        return Path(given) / name
    archive = ARCHIVES / f"{name}.tar.zst"
    if not archive.exists():
        absent(f"{name} is not there; set DATASETS to a folder that has it")
    tar = shutil.which("tar")
    if tar is None or shutil.which("zstd") is None:
        absent(f"tar and zstd, which unpack {archive.name}, are not both installed; or set DATASETS to a folder")
    folder = Path(tempfile.gettempdir()) / f"regulars-{name}-{archive.stat().st_mtime_ns}"
    if not folder.exists():
        making = Path(tempfile.mkdtemp(prefix=f"regulars-{name}-"))
        subprocess.run([tar, "--zstd", "-xf", archive, "-C", making], check=True, timeout=UNPACK_TIMEOUT_S)
        try:
            making.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(making)
    return folder


def file_of(name: str, file: str) -> Path:
    """One file of a data set, wherever in its folder it lies."""
    found = sorted(unpacked(name).rglob(file))
    if not found:
        absent(f"{name} has no file {file}")
    return found[0]
