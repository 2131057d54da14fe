"""What the laws look at: the files of the repository, their syntax trees, and what a name in them stands for."""

import ast
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "journeys", "loyalty", "notifier", "segmentation")
PACKAGES = ("common", *SERVICES, "regulars", "tests")
NOT_OURS = {"__pycache__", "build", "data", "dist", "node_modules"}


@dataclass(frozen=True)
class Source:
    """A Python file."""

    path: Path

    @property
    def name(self) -> str:
        """The path from the repository's root."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def module(self) -> str:
        """The dotted name it is imported by."""
        parts = list(self.path.relative_to(ROOT).with_suffix("").parts)
        if parts[0] in {"libs", "services"}:
            parts = parts[2:]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def lines(self) -> list[str]:
        """Line 1 is at index 0."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, filename=self.name)

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler, fault: str) -> str:
        """A line of a law's message: where, what, and how to mend it."""
        return f"{self.name}:{node.lineno}: {fault}"

    @cached_property
    def imports(self) -> list[tuple[ast.stmt, str]]:
        """Every import as (statement, dotted name); `from a import b` gives `a.b`."""
        found: list[tuple[ast.stmt, str]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
        return found

    @cached_property
    def names(self) -> list[tuple[ast.expr, str]]:
        """Every use of a name as (expression, what it stands for): with `import time as t`, `t.time` is `time.time`."""
        stands_for: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    head = alias.name.partition(".")[0]
                    stands_for[alias.asname or head] = alias.name if alias.asname else head
            elif isinstance(node, ast.ImportFrom):
                stands_for |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        found: list[tuple[ast.expr, str]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name | ast.Attribute) and (dotted := _dotted(node)):
                head, dot, rest = dotted.partition(".")
                if head in stands_for or not dot:  # else it is a part of something of the file's own
                    found.append((node, stands_for.get(head, head) + dot + rest))
        return found


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return None


@lru_cache(maxsize=1)
def sources() -> tuple[Source, ...]:
    """All Python files of the repository."""
    return tuple(Source(path) for path in sorted(files()) if path.suffix == ".py")


def sources_in(*packages: str) -> Iterator[Source]:
    """The Python files of some packages."""
    return (source for source in sources() if source.module.partition(".")[0] in packages)


@lru_cache(maxsize=1)
def files() -> tuple[Path, ...]:
    """All files of the repository: tracked, and new ones that are not ignored; without git, all but hidden ones."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return tuple(path for path in ROOT.rglob("*") if path.is_file() and _ours(path.relative_to(ROOT)))
    return tuple(path for path in (ROOT / name for name in listed.split("\0") if name) if path.is_file())


def _ours(path: Path) -> bool:
    return not any(part in NOT_OURS or part.startswith(".") for part in path.parts)


def obey(law: Callable[[Source], Iterator[str]], subjects: Iterator[Source]) -> None:
    """Fail with every fault that a law finds."""
    faults = [fault for source in subjects for fault in law(source)]
    assert not faults, "\n" + "\n".join(faults)
