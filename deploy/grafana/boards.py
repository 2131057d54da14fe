"""Turns the boards into the JSON that Grafana takes. `python -m deploy.grafana.boards` writes the files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.grafana.engineers import ENGINEERS
from deploy.grafana.panels import Board, Panel, Query, Rows
from deploy.grafana.segments import SEGMENTS
from deploy.grafana.shop import SHOP

FOLDER = Path(__file__).parent / "boards"
FILES = {"shop.json": SHOP, "segments.json": SEGMENTS, "engineers.json": ENGINEERS}

COLUMNS = 24  # of Grafana's grid
SIZES = {"stat": (4, 4), "timeseries": (8, 8)}  # width and height in it
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 39  # of Grafana 11 and later


def text(board: Board) -> str:
    """The file of a board."""
    return json.dumps(render(board), indent=1, ensure_ascii=False) + "\n"


def render(board: Board) -> dict[str, Any]:
    """The board as Grafana takes it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["regulars"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,  # one cross-hair for all panels
        "refresh": "30s",
        "time": {"from": board.since, "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["regulars"], "title": "Regulars", "asDropdown": True}],
        "templating": {"list": list(_choices(board))},
        "panels": list(_panels(board.rows)),
    }


def _choices(board: Board) -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    if any("$job" in query.expr for _, panels in board.rows for panel in panels for query in panel.queries):
        yield JOBS


JOBS = {
    "name": "job",
    "label": "Service",
    "type": "query",
    "datasource": DATASOURCE,
    "query": {"query": "label_values(regulars_http_requests_total, job)", "refId": "job"},
    "definition": "label_values(regulars_http_requests_total, job)",
    "includeAll": True,
    "multi": True,
    "allValue": "ingest|segmentation|journeys|loyalty|notifier",
    "current": {"text": ["All"], "value": ["$__all"]},
    "refresh": 2,  # when the time that is looked at changes
}


def _panels(rows: Rows) -> Iterator[dict[str, Any]]:
    """From left to right and from top to bottom, each row under its heading."""
    number = y = 0
    for heading, panels in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": heading,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, y, COLUMNS, 1),
        }
        y += 1
        x = height = 0
        for panel in panels:
            number += 1
            width, height = SIZES[panel.kind]
            if x + width > COLUMNS:
                x, y = 0, y + height
            yield _panel(panel, number, _at(x, y, width, height))
            x += width
        y += height


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    is_stat = panel.kind == "stat"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.what,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": _drawn(panel)}, "overrides": []},
        "options": STAT_OPTIONS if is_stat else GRAPH_OPTIONS,
        "targets": [_target(index, query, instant=is_stat) for index, query in enumerate(panel.queries)],
    }


STAT_OPTIONS = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "graphMode": "none"}
GRAPH_OPTIONS = {
    "legend": {"displayMode": "list", "placement": "bottom"},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _drawn(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {}
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    return {"fillOpacity": 20 if panel.stacked else 0, "lineWidth": 1, "showPoints": "never", "stacking": stacking}


def _target(index: int, query: Query, *, instant: bool) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": instant,
        "range": not instant,
    }


def main() -> None:
    """Writes all boards."""
    for name, board in FILES.items():
        (FOLDER / name).write_text(text(board), encoding="utf-8")


if __name__ == "__main__":
    main()
