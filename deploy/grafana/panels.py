"""What boards are made of: queries in the words of PromQL, panels that show them, rows of panels."""

from dataclasses import dataclass
from typing import Literal

RATE = "$__rate_interval"  # Grafana's: long enough for a rate at the zoom one looks at
RANGE = "$__range"  # all the time that is looked at


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called: `{{label}}` is the label's value."""

    legend: str
    expr: str


Queries = tuple[Query, ...]


@dataclass(frozen=True)
class Panel:
    """One picture; `what` says how to read it. A stat shows one number, of all the time that is looked at."""

    title: str
    what: str
    queries: Queries
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    stacked: bool = False


Rows = tuple[tuple[str, tuple[Panel, ...]], ...]  # each with its heading


@dataclass(frozen=True)
class Board:
    """A board; `since` is what it shows when it is opened, as Grafana says it."""

    uid: str
    title: str
    since: str
    rows: Rows


def graph(title: str, what: str, queries: Queries | Query, unit: str = "short", *, stacked: bool = False) -> Panel:
    """Lines over time."""
    return Panel(title, what, (queries,) if isinstance(queries, Query) else queries, unit, stacked=stacked)


def number(title: str, what: str, counter: str) -> Panel:
    """How often something happened: exact from the first time on (a series that is new began at 0); nothing is 0."""
    grown = f"({counter} unless {counter} offset {RANGE}) or increase({counter}[{RANGE}])"
    return Panel(title, what, (Query("", f"sum({grown}) or vector(0)"),), kind="stat")


def per_second(counter: str, *by: str) -> Query:
    """A counter's growth, for what a machine does."""
    labels = ", ".join(by)
    summed = f"sum by ({labels})" if by else "sum"
    return Query(" ".join("{{" + label + "}}" for label in by), f"{summed} (rate({counter}[{RATE}]))")


def per_minute(counter: str, *by: str) -> Query:
    """A counter's growth, for what a person counts."""
    query = per_second(counter, *by)
    return Query(query.legend, f"60 * {query.expr}")


def largest(gauge: str, *by: str) -> Query:
    """Of all processes, the one that is worst off."""
    return Query(" ".join("{{" + label + "}}" for label in by), f"max by ({', '.join(by)}) ({gauge})")


def share(part: str, whole: str, by: str) -> Query:
    """A counter's growth as a share of another's: 0 where there is no such part, nothing where there is no whole."""
    of_whole = f"sum by ({by}) (rate({whole}[{RATE}]))"
    of_part = f"sum by ({by}) (rate({part}[{RATE}]))"
    return Query("{{" + by + "}}", f"({of_part} or 0 * {of_whole}) / ({of_whole} > 0)")


def quantile(histogram: str, percent: int, *by: str) -> Query:
    """What `percent` of 100 do not exceed."""
    name, _, labels = histogram.partition("{")
    buckets = f"{name}_bucket{{{labels}" if labels else f"{name}_bucket"
    legend = " ".join((*("{{" + label + "}}" for label in by), f"p{percent}"))
    summed = f"sum by ({', '.join((*by, 'le'))}) (rate({buckets}[{RATE}]))"
    return Query(legend, f"histogram_quantile({percent / 100}, {summed})")


def middle_and_tail(histogram: str, *by: str) -> Queries:
    """What half and what 1 in 100 exceeds."""
    return quantile(histogram, 50, *by), quantile(histogram, 99, *by)
