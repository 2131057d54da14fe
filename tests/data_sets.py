"""Public data sets: the folder that a variable names ($OLIST, $CDNOW, ...), the one in data/ of the repository, or an
archive beside the repository, which is unpacked once for all runs. Where they are not there, the skip is loud."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[1]
PACKED = ROOT / "../shared/data"
UNPACK_TIMEOUT_S = 60


@cache
def folder_of(name: str) -> Path:
    """The data set's folder, to be read alone: other tests and other runs read it too."""
    if given := os.environ.get(name.upper()):
        return Path(given) if Path(given).is_dir() else _cannot_check(f"{given} is no folder")
    if (ROOT / "data" / name).is_dir():
        return ROOT / "data" / name
    archive = PACKED / f"{name}.tar.zst"
    if not archive.exists():
        _cannot_check(f"neither ${name.upper()} nor data/{name} is there, nor its archive")
    tar = shutil.which("tar")
    if tar is None or shutil.which("zstd") is None:
        _cannot_check(f"tar and zstd, which unpack the archive of {name}, are not both installed")
    of = archive.stat()
    folder = Path(tempfile.gettempdir()) / f"regulars-{name}-{os.getuid()}-{of.st_size}-{of.st_mtime_ns}"
    if not folder.exists():
        making = Path(tempfile.mkdtemp(prefix=f"regulars-{name}-"))
        try:
            subprocess.run([tar, "--zstd", "-xf", archive, "-C", making], check=True, timeout=UNPACK_TIMEOUT_S)
            making.rename(folder)  # whole or not at all
        except OSError:
            if not folder.exists():  # else another worker was first
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


@cache
def file_of(name: str, file: str) -> Path:
    """One file of a data set, wherever in its folder it lies."""
    found = sorted(folder_of(name).rglob(file))
    return found[0] if found else _cannot_check(f"{name} has no file {file}")


def _cannot_check(reason: str) -> NoReturn:
    """Skip where a person may lack the data; fail where nobody would see the skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have the public data sets: {reason}", pytrace=False)
    pytest.skip(f"NOT CHECKED AGAINST A PUBLIC DATA SET: {reason}")
