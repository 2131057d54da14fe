"""A mapping is refused with every fault and its path; those that are packaged have none."""

from pathlib import Path

import pytest

from regulars.files import mapping
from regulars.files.mapping import BadMapping, FileMapping, load, parse
from tests.unit.regulars.files.stage import ORDERS

PACKAGED = sorted((Path(mapping.__file__).parents[1] / "mappings").glob("*.yaml"))

FAULTY = """
format: csv
colour: red
zone: Europe/Nowhere
columns:
  at: {type: time}
  price: {type: money, zone: UTC}
  pieces: {type: integer, default: many}
  size: {match: "("}
  word: {type: number}
  count: integer
keep: {field: count, op: starts_with, value: a}
person: {identities: {passport: "{nr}"}}
events:
  - {type: order.payed, id: "{nr}"}
  - {type: order.paid, id: "{nr", time: price, data: {amount: {sum: nr}, colour: red}}
  - {type: visit, time: at}
"""
FAULTS = {
    "$.colour",
    "$.currency",
    "$.columns.at.zone",
    "$.columns.price.zone",
    "$.columns.pieces.default",
    "$.columns.size.match",
    "$.columns.word.type",
    "$.keep.op",
    "$.person.identities.passport",
    "$.events[0].type",
    "$.events[0].time",
    "$.events[1].data.order_id",
    "$.events[1].data.colour",
    "$.events[1].time",
    "$.events[1].id",
    "$.events[1].data.amount.sum",
    "$.events[2].id",
}


def paths(text: str) -> set[str]:
    faults = parse(text, "test")
    assert isinstance(faults, tuple)
    return {fault.path for fault in faults}


def test_every_fault_is_told_at_once() -> None:
    assert paths(FAULTY) == FAULTS


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.stem)
def test_packaged_mappings_are_found_by_name(path: Path) -> None:
    assert isinstance(load(path.stem), FileMapping)


def test_what_is_no_mapping(tmp_path: Path) -> None:
    assert paths("[") == {"$"}
    assert paths("[]") == {"$"}
    assert paths("") == {"$"}
    with pytest.raises(BadMapping, match="online_retail"):
        load("nope")
    (tmp_path / "bad.yaml").write_text(ORDERS.replace("money", "monney"))
    with pytest.raises(BadMapping, match=r"bad.yaml: \$.columns.price.type: "):
        load(str(tmp_path / "bad.yaml"))


def test_only_what_goes_together_goes_together() -> None:
    assert paths(ORDERS + "once: [nr]\n") == {"$.once"}
    assert paths(ORDERS + "explode: items\n") == {"$.explode"}
    assert paths(ORDERS + "events: []\n") == {"$.events"}
    assert paths(ORDERS + "currency: euro\n") == {"$.currency"}
    assert paths(ORDERS.replace("price: money", "price: {type: money, column: a, join: b}")) == {"$.columns.price.join"}
    assert paths(ORDERS.replace("price: money", "price: {type: money, times: nr}")) == {"$.columns.price.times"}
