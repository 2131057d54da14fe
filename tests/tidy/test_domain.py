"""domain/ is pure: it decides from what it is given, and reads no clock, no dice, no file and no network."""

import ast
from collections.abc import Iterator

from tests.tidy.tree import SERVICES, Source, obey, sources_in

# Parts of the standard library that only compute. To add one, be sure it reads nothing but its arguments.
# fmt: off
COMPUTING = {
    "__future__", "abc", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fractions", "functools", "gzip", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re",
    "statistics", "string", "struct", "types", "typing", "unicodedata", "zlib", "zoneinfo",
}
# fmt: on
COMPUTING_NAMES = {"io.BytesIO", "io.StringIO"}  # bytes in memory; the rest of io opens files
# msgspec: states are its Structs. yaml: turns the text of a definition into values, in parse. phonenumbers: tables of
# numbering plans, which are modules of its own.
LIBRARIES = {"msgspec", "phonenumbers", "yaml"}
OURS = {"contracts", "decision", "ids", "money", "predicate"}
# These rooms of common are used by every domain/, so they must be as pure.
PURE_ROOMS_OF_COMMON = tuple(f"common.{room}" for room in sorted(OURS))
# Commands that stand beside what they are about and are no part of it: domain/ must not import them.
IMPURE = {
    "datetime.datetime.now": "the time comes with the event",
    "datetime.datetime.utcnow": "the time comes with the event",
    "datetime.datetime.today": "the time comes with the event",
    "datetime.date.today": "the time comes with the event",
    "input": "hand in what it must know",
    "open": "hand in what it must know",
    "print": "return what is to be said",
}
IMPURE_MODULES = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "subprocess", "time", "uuid"}
ASYNC = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)


def domains() -> Iterator[Source]:
    """Every file of every service's domain."""
    return (source for source in sources_in(*SERVICES) if source.module.split(".")[1:2] == ["domain"])


def pure() -> Iterator[Source]:
    """Every file that must be pure."""
    yield from domains()
    yield from (source for source in sources_in("common") if source.module.startswith(PURE_ROOMS_OF_COMMON))


def test_domain_imports_only_what_computes() -> None:
    def law(source: Source) -> Iterator[str]:
        own = source.module.partition(".")[0]
        for node, name in source.imports:
            head, room = (*name.split("."), "")[:2]
            if head in COMPUTING | LIBRARIES or name in COMPUTING_NAMES:
                continue
            if (head, room) == (own, "domain") or (head == "common" and room in OURS):
                continue
            yield source.at(node, f"domain imports {name}: let the shell use it, and hand in what comes of it")

    obey(law, domains())


def test_what_decides_does_nothing_else() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.imports:
            if name.partition(".")[0] in IMPURE_MODULES:
                yield source.at(node, f"imports {name}: what decides must be a function of its arguments")
        for expression, name in source.names:
            if name in IMPURE:
                yield source.at(expression, f"{name}: {IMPURE[name]}")
        for part in ast.walk(source.tree):
            if isinstance(part, ASYNC):
                yield source.at(part, "async: nothing here may wait; the shell waits and hands in what came")

    obey(law, pure())
