"""Habits that keep the house in order: one clock, structured tasks, no swallowed errors, rooms with names."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.tidy.tree import SERVICES, Source, obey, sources, sources_in

CLOCK = "common.clock"
ASKS_THE_TIME = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.ctime",
    "time.gmtime",
    "time.localtime",
    "time.time",
    "time.time_ns",
}
LOOSE_TASKS = {"asyncio.create_task", "asyncio.ensure_future"}
SLEEPS = {"asyncio.sleep", "time.sleep"}
NAMES_THAT_SAY_NOTHING = {"base", "helper", "helpers", "manager", "misc", "util", "utils"}
COMMON_MAX_LINES = 2_850  # of code: explaining a thing well must not cost room


def test_only_the_clock_asks_the_time() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.names:
            if name in ASKS_THE_TIME and source.module != CLOCK:
                yield source.at(node, f"{name}: be given a Clock (to measure, time.monotonic or perf_counter will do)")

    obey(law, sources_in("common", *SERVICES))


def test_every_task_belongs_to_a_group() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.names:
            if name in LOOSE_TASKS:
                yield source.at(node, f"{name}: its error would be lost; use the create_task of an asyncio.TaskGroup")

    obey(law, iter(sources()))


def test_no_error_is_swallowed() -> None:
    def law(source: Source) -> Iterator[str]:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            if node.type is None:
                yield source.at(node, "bare except: name what may fail (it catches even Ctrl-C)")
            elif _catches_all(node.type) and all(_does_nothing(statement) for statement in node.body):
                yield source.at(node, "except Exception that does nothing: name what may fail, or say what happened")

    obey(law, iter(sources()))


def test_services_do_not_print() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.names:
            if name == "print":
                yield source.at(node, "print: log it (common.telemetry.logs)")

    obey(law, sources_in("common", *SERVICES))


def test_tests_wait_for_something_not_for_some_time() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.names:
            if name in SLEEPS and "# waits: " not in source.lines[(node.end_lineno or node.lineno) - 1]:
                yield source.at(node, f"{name}: wait for what is to happen, or say on this line `# waits: for what`")

    obey(law, sources_in("tests"))


def test_every_file_says_what_the_room_is_for() -> None:
    def law(source: Source) -> Iterator[str]:
        empty_package = source.path.name == "__init__.py" and not source.text.strip()
        if not empty_package and not (ast.get_docstring(source.tree) or "").strip():
            yield f"{source.name}:1: begin with a docstring that says in a line what this room is for"

    obey(law, iter(sources()))


def test_every_name_says_something() -> None:
    def law(source: Source) -> Iterator[str]:
        for part in PurePosixPath(source.name).with_suffix("").parts:
            if nothing := NAMES_THAT_SAY_NOTHING & set(part.split("_")):
                yield f"{source.name}:1: '{nothing.pop()}' says nothing: name it by what it holds"

    obey(law, iter(sources()))


def test_common_stays_small() -> None:
    sizes = sorted(((_lines_of_code(source), source.name) for source in sources_in("common")), reverse=True)
    total = sum(size for size, _ in sizes)
    largest = "\n".join(f"{name}:1: {size} lines" for size, name in sizes[:5])
    assert total < COMMON_MAX_LINES, (
        f"libs/common has {total} lines of code, {COMMON_MAX_LINES} is the bound: what knows a business word, or only "
        f"one service needs, moves there. The largest:\n{largest}"
    )


def _lines_of_code(source: Source) -> int:
    """Lines that hold code: no blank line, comment or docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(source.lines, start=1)
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") and n not in docstrings for n, line in lines)


def _catches_all(caught: ast.expr) -> bool:
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in kinds)


def _does_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass | ast.Continue)
