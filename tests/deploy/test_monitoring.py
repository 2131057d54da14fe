"""Boards and rules before they meet a Prometheus: as generated, well-formed, and of metrics that we have."""

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from common.contracts.topics import TOPICS
from common.telemetry import metrics
from deploy.grafana.boards import COLUMNS, FILES, FOLDER, text
from tests.deploy.compose import FIVE
from tests.deploy.queries import PROMETHEUS, RULES, figures, matchers_in, names_in, on_boards, rules
from tests.deploy.tools import from_debian, run

FAMILIES = [
    family for each in vars(metrics).values() if isinstance(each, MetricWrapperBase) for family in each.describe()
]
ENDINGS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
SERIES = {f"{family.name}{ending}" for family in FAMILIES for ending in ENDINGS[family.type]}
FIGURES = {rule["record"] for rule in rules("record")}
FIGURE = r"[a-z]+:regulars_[a-z0-9_]+:[a-z0-9_]+(?:\{[^}]*\})?"
FACTS = {event.TYPE for topic in TOPICS for event in topic.events}


def board_file(name: str) -> dict[str, Any]:
    """A board as it is checked in."""
    board: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return board


@pytest.mark.parametrize("name", FILES)
def test_the_checked_in_board_is_the_generated_one(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == text(FILES[name]), "run: python -m deploy.grafana.boards"


def test_there_is_no_other_board() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)
    assert len({board.uid for board in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_panels_lie_side_by_side(name: str) -> None:
    panels = board_file(name)["panels"]
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= COLUMNS
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("name", FILES)
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in board_file(name)["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            assert set(labels) <= set(re.findall(r"\w+", target["expr"])) | {"job", "instance"}
            assert (target["instant"], target["range"]) == ((True, False) if panel["type"] == "stat" else (False, True))


@pytest.mark.parametrize("question", [*on_boards(), *figures()], ids=lambda question: question.where)
def test_it_asks_for_what_we_have(question: Any) -> None:
    assert names_in(question.expr) <= SERIES
    for label, value in matchers_in(question.expr):
        if label == "type":
            assert value in FACTS
        if label in {"service", "job"}:
            assert value in {*FIVE, "$job"}


def test_every_metric_of_the_house_is_asked_for() -> None:
    asked = {name for question in (*on_boards(), *figures()) for name in names_in(question.expr)}
    assert not [family.name for family in FAMILIES if not any(name.startswith(family.name) for name in asked)]


def test_an_alert_only_compares_figures() -> None:
    """So that looking at the figures, which the test with a real Prometheus does, is looking at every alert."""
    comparison = rf"{FIGURE} (?:==|<|>) [0-9.]+"
    for rule in rules("alert"):
        assert re.fullmatch(rf"{comparison}(?: and on \(\w*\) {comparison})*", rule["expr"]), rule["alert"]
        assert {name.partition("{")[0] for name in re.findall(FIGURE, rule["expr"])} <= FIGURES
    compared = {name.partition("{")[0] for rule in rules("alert") for name in re.findall(FIGURE, rule["expr"])}
    assert compared == FIGURES, "a figure that nobody compares"


def test_an_alert_says_what_to_do() -> None:
    for rule in rules("alert"):
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "what_to_do"}


def test_prometheus_takes_its_configuration() -> None:
    run(from_debian("promtool"), "check", "config", PROMETHEUS / "prometheus.yml")


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    run(from_debian("promtool"), "test", "rules", PROMETHEUS / "rules.test.yml")
    tested = yaml.safe_load((PROMETHEUS / "rules.test.yml").read_text(encoding="utf-8"))
    wrong, good = tested["tests"]
    fires = {re.findall(r'alertname="(\w+)"', one["labels"])[0] for one in wrong["promql_expr_test"][0]["exp_samples"]}
    assert fires == {rule["alert"] for rule in rules("alert")}
    assert good["promql_expr_test"] == [{"expr": "ALERTS", "eval_time": "40m", "exp_samples": []}]
    asked = {name for question in figures() for name in names_in(question.expr)}
    shown = {name for series in good["input_series"] for name in names_in(series["series"])}
    assert asked <= shown, "a good day must have all that is looked at"
    assert tested["rule_files"] == [RULES.name]
