"""A measured figure beside its ceiling, and the table of them."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console
from rich.table import Table

WHOLE_FROM = 100  # numbers from here on are told without decimals


class Figure(Struct, frozen=True):
    """`ratio` is the part of the ceiling that was reached: 1 is as good as the bare script, whatever the unit."""

    name: str  # of the benchmark and the case, with dots: "roads.loyalty.kafka"
    value: float
    unit: str  # "events/s", "ms", ...
    ceiling: float | None  # in the same unit; None where there is nothing to compare with
    ratio: float | None
    what: str  # what was done, and what the ceiling is, in one line


def rate(name: str, value: float, unit: str, what: str, ceiling: float | None = None) -> Figure:
    """More is better."""
    return Figure(name, value, unit, ceiling, value / ceiling if ceiling else None, what)


def time(name: str, value: float, unit: str, what: str, ceiling: float | None = None) -> Figure:
    """Less is better."""
    return Figure(name, value, unit, ceiling, ceiling / value if ceiling and value else None, what)


def not_measured(what: str, why: object) -> None:
    """One line, so that a figure that is not there is missed."""
    line = " ".join(f"NOT MEASURED: {what}: {why}".split())
    Console(stderr=True).print(line, style="bold red", markup=False, highlight=False, soft_wrap=True)


def table(figures: Sequence[Figure]) -> Table:
    """For the eye."""
    drawn = Table(title=None, box=None, pad_edge=False)
    drawn.add_column("figure", no_wrap=True)
    drawn.add_column("value", justify="right", no_wrap=True)
    drawn.add_column("unit", no_wrap=True)
    drawn.add_column("ceiling", justify="right", no_wrap=True)
    drawn.add_column("ratio", justify="right", no_wrap=True)
    drawn.add_column("what")
    for figure in figures:
        ceiling = "" if figure.ceiling is None else number(figure.ceiling)
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        drawn.add_row(figure.name, number(figure.value), figure.unit, ceiling, ratio, figure.what)
    return drawn


def number(value: float) -> str:
    """Three or more significant digits: 12,345 or 12.3 or 0.123."""
    return f"{value:,.0f}" if value >= WHOLE_FROM else f"{value:.3g}"
