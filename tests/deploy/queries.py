"""Every question that boards and rules put to Prometheus, and which metrics and labels they name."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from deploy.grafana.boards import FILES
from tests.deploy.tools import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules.yml"


class Question(NamedTuple):
    """PromQL, and where it stands."""

    where: str
    expr: str


def on_boards() -> Iterator[Question]:
    """Of every panel."""
    for name, board in FILES.items():
        for heading, panels in board.rows:
            for panel in panels:
                for query in panel.queries:
                    yield Question(f"{name}: {heading}: {panel.title}", query.expr)


def rules(kind: str) -> list[dict[str, Any]]:
    """The rules that have that key: `record` or `alert`."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def figures() -> Iterator[Question]:
    """Of every recorded figure."""
    for rule in rules("record"):
        yield Question(f"rules.yml: {rule['record']}", rule["expr"])


def names_in(expr: str) -> set[str]:
    """The metrics that are ours, and the figures, that an expression names."""
    return set(re.findall(r"\b(?:\w+:)?regulars_[a-z0-9_:]+", expr))


def matchers_in(expr: str) -> set[tuple[str, str]]:
    """Labels and the fixed values that they must have: (`type`, `points.earned`)."""
    found = re.findall(r'(\w+)(=~|=)"([^"]*)"', expr)
    return {(label, value) for label, how, text in found for value in (text.split("|") if how == "=~" else [text])}
