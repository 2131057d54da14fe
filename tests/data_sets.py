"""Public data sets, in data/ of the repository or packed beside it; where they are not there, the skip is loud."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[1]
PACKED = ROOT / "../shared/data"
UNPACK_TIMEOUT_S = 60

Folder = Callable[[str], Path]


def folder_of(name: str, scratch: Path) -> Path:
    """The data set's folder; packed, it is unpacked into `scratch`."""
    if (ROOT / "data" / name).is_dir():
        return ROOT / "data" / name
    archive = PACKED / f"{name}.tar.zst"
    if not archive.exists():
        _cannot_check(f"neither data/{name} nor its archive is there")
    tar = shutil.which("tar")
    if tar is None or shutil.which("zstd") is None:
        _cannot_check(f"tar and zstd, which unpack the archive of {name}, are not both installed")
    subprocess.run([tar, "--zstd", "-xf", archive, "-C", scratch], check=True, timeout=UNPACK_TIMEOUT_S)
    return scratch


def _cannot_check(reason: str) -> NoReturn:
    """Skip where a person may lack the data; fail where nobody would see the skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have the public data sets: {reason}", pytrace=False)
    pytest.skip(f"NOT CHECKED AGAINST A PUBLIC DATA SET: {reason}")
