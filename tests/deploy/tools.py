"""The real tools that read our recipes: out of the development packages, or out of the machine's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0


def tool(name: str, how_to_get: str) -> Path:
    """The program; without it the test is skipped, loudly, and fails where nobody would see the skip."""
    beside = Path(sys.executable).parent / name
    found = beside if beside.exists() else shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have {name}: {how_to_get}", pytrace=False)
        pytest.skip(f"NOT CHECKED: {name} is not here: {how_to_get}")
    return Path(found)


def from_packages(name: str) -> Path:
    """A program that `make setup` installs."""
    return tool(name, "run `make setup`")


def from_debian(name: str) -> Path:
    """A program of Prometheus."""
    return tool(name, "on Debian and Ubuntu: apt-get install --no-install-recommends prometheus")


def run(program: Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> str:
    """What it says; fails with that when it fails."""
    done = attempt(program, arguments, environment)
    assert done.returncode == 0, f"{program.name} {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}"
    return done.stdout


def attempt(
    program: Path, arguments: Sequence[str | Path], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """How it ended; it sees PATH and HOME and nothing else of ours."""
    seen = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | (environment or {})
    return subprocess.run(
        [program, *arguments], check=False, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=ROOT, env=seen
    )
