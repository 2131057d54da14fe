"""What a public repository must not hold: paths of somebody's machine, addresses of package indexes, loose locks."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, files

# Written so that no pattern matches itself.
FORBIDDEN = {
    r"/w[o]rk/|/r[o]ot/|/(?:home|Users)/[a-z]\w*/|/tmp/[s]cratch": "a path of somebody's machine: make it relative",
    r"pypi[.]org|python[h]osted[.]org|npmjs[.](?:org|com)|repo1?[.]maven|maven[.]org|static[.]crates": (
        "an address of a package index: name the package, the machine's own settings name the index"
    ),
    r"BEGIN (?:[A-Z]+ )?PRIVATE [K]EY": "a private key: make it at run time, or keep it out of git",
}
# An image has paths of its own, the same on every machine.
MAY_NAME_PATHS_OF_AN_IMAGE = ("Dockerfile", "docker-compose", "deploy/")
# Data of others lies beside the repository, never in it; only who may read it may name the place.
DATA_BESIDE = re.compile(r"(?P<up>\.\./)?s[h]ared/(?P<what>\w+)")
MAY_NAME_DATA = ("tests/", "docs/", "Makefile", ".ci/", "README")


def texts() -> Iterator[tuple[str, str]]:
    """Every file that is text, as (name, text)."""
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield path.relative_to(ROOT).as_posix(), content.decode(errors="replace")


def places(pattern: re.Pattern[str]) -> Iterator[tuple[str, int, re.Match[str]]]:
    """Every match in every file, as (name, line, match)."""
    for name, text in texts():
        for match in pattern.finditer(text):
            yield name, text.count("\n", 0, match.start()) + 1, match


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_private_is_in_the_repository(pattern: str) -> None:
    faults = [
        f"{name}:{line}: {match[0]!r}: {FORBIDDEN[pattern]}"
        for name, line, match in places(re.compile(pattern))
        if not (re.match("/(?:home|r[o]ot)/", match[0]) and name.startswith(MAY_NAME_PATHS_OF_AN_IMAGE))
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_data_of_others_is_named_only_where_it_is_read() -> None:
    faults = [
        f"{name}:{line}: {match[0]!r}: take the folder as an argument; only tests, docs and the Makefile may name it"
        for name, line, match in places(DATA_BESIDE)
        if not (match["up"] and match["what"] == "data" and name.startswith(MAY_NAME_DATA))
    ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_by_hash_and_name_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.findall(r"https?:|file:|--(?:extra-)?index-url|--find-links", text), f"{lock}: run `make lock`"
    loose = [entry.split()[0] for entry in re.split(r"\n(?=\S)", text) if "==" in entry and "--hash=" not in entry]
    assert not loose, f"{lock}: no hash for {loose}: run `make lock`"


def test_the_locks_agree() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE))

    missing = pins("requirements.lock") - pins("requirements-dev.lock")
    assert not missing, f"requirements-dev.lock lacks {sorted(missing)}: run `make lock`"


def test_locks_that_name_an_index_stay_out() -> None:
    loose = [path.relative_to(ROOT) for path in files() if path.name in {"uv.lock", "poetry.lock", "package-lock.json"}]
    assert not loose, f"{[Path(name).as_posix() for name in loose]}: they record addresses; requirements*.lock are ours"
