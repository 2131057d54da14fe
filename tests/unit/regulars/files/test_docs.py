"""The examples of docs/platforms/files.md, as they stand there."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from regulars.files.columns import ColumnSpec
from regulars.files.document import Document
from tests.tidy.tree import ROOT
from tests.unit.regulars.files.stage import Came, came, mapped

PAGE = (ROOT / "docs/platforms/files.md").read_text(encoding="utf-8")


def blocks(language: str) -> Sequence[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def example(number: int, folder: Path, historic: bool) -> Came:
    return came(mapped(blocks("yaml")[number]), folder, blocks("csv")[number], historic=historic)


def test_the_history(tmp_path: Path) -> None:
    events = example(0, tmp_path, historic=True)
    assert events.refused == []
    assert [(e["id"], e["subject"], e["data"].get("amount", {}).get("amount_minor")) for e in events] == [
        ("1001:placed", "C-17", 111780),
        ("1001:paid", "C-17", 111780),
        ("1001:completed", "C-17", 111780),
        ("1002:placed", "C-18", 4990),
        ("1002:cancelled", "C-18", None),
        ("1003:placed", "C-17", 5990),
        ("1003:paid", "C-17", 5990),
        ("1003:completed", "C-17", 5990),
    ]
    assert events[0]["time"] == "2026-03-05T01:12:00Z"
    assert events[0]["personal"] == {"phone": "+8613800138000"}
    assert events[0]["data"]["items"][1] == {
        "item_id": "CUP-3",
        "name": "Cup",
        "quantity": 1,
        "unit_price": {"amount_minor": 101800, "currency": "CNY"},
    }
    assert [end["subject"] for end in events.ends] == ["C-17", "C-18"]


def test_the_till(tmp_path: Path) -> None:
    events = example(1, tmp_path, historic=False)
    assert events.refused == []
    assert [(e["id"], e["type"], e["data"]["amount"]["amount_minor"], e["time"]) for e in events] == [
        ("7001:paid", "order.paid", 12900, "2026-03-31T02:05:00Z"),
        ("7001:completed", "order.completed", 12900, "2026-03-31T02:05:00Z"),
        ("7003:refunded", "order.refunded", 2900, "2026-03-31T10:15:00Z"),
    ]
    assert {e["data"]["order_id"] for e in events} == {"store-1:7001"}
    assert {e["identities"]["card"] for e in events} == {"C-900017"}
    assert all("subject" not in e for e in events)
    assert (events.reading.rows, events.reading.left_out) == (3, 1)


def test_every_field_is_explained() -> None:
    tables = {
        word for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for word in re.findall(r"`([a-z_]+)", row)
    }
    known = {*Document.__struct_fields__, *ColumnSpec.__struct_fields__} - {"column", "join"}
    assert known == tables & known
    assert isinstance(yaml.safe_load(blocks("yaml")[0]), dict)
