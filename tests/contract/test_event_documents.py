"""The checked-in documents of events say what the contracts say, and what they have promised is kept."""

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from common.contracts.envelope import Data, Decoder, encode
from common.contracts.topics import TOPICS
from regulars.event_compatibility import breaks, shape
from regulars.event_documents import PUBLISHED, TYPES, documents, write
from tests.contract.event_strategies import events_of

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs" / "events"
ANEW = "run: python -m regulars.event_documents docs/events"
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "evt-1",
    "source": "shop/moon",
    "type": "order.placed",
    "shopid": "moon",
    "subject": "customer-7",
    "time": "2024-05-01T12:00:00+08:00",
    "receivedat": "2024-05-01T04:00:01.250Z",
    "data": {
        "order_id": "order-3",
        "amount": {"amount_minor": 12500, "currency": "CNY"},
        "items": [{"item_id": "tea", "quantity": 2, "unit_price": {"amount_minor": 6250, "currency": "CNY"}}],
    },
}
formats = FormatChecker()


@formats.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def validator(event_type: str) -> Draft202012Validator:
    text = (DOCUMENTS / f"{event_type}.v1.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text), format_checker=formats)


def test_the_documents_are_those_of_the_contracts() -> None:
    fresh = documents()
    checked_in = {path.name: path.read_text(encoding="utf-8") for path in DOCUMENTS.iterdir()}
    assert sorted(checked_in.keys() - fresh.keys()) == [], "no contract makes these any more: remove them"
    stale = sorted(name for name, text in fresh.items() if checked_in.get(name) != text)
    assert stale == [], f"the contracts say something else; {ANEW}"


def test_nothing_published_is_broken() -> None:
    published = json.loads((DOCUMENTS / PUBLISHED).read_text(encoding="utf-8"))
    assert breaks(published, shape()) == (), "somebody reads and writes by this; see regulars/event_compatibility.py"


def test_a_type_is_one_type_everywhere() -> None:
    classes = {(data.TYPE, data) for topic in TOPICS for data in topic.events}
    assert len(classes) == len(TYPES)
    assert "order.placed" in TYPES


def test_writing_is_refused_when_it_breaks_what_the_folder_promises(tmp_path: Path) -> None:
    promised = {"order.placed": {"open": True, "types": ["object"]}, "order.placed/coupon": {"types": ["string"]}}
    (tmp_path / PUBLISHED).write_text(json.dumps(promised), encoding="utf-8")
    broken = write(tmp_path)
    assert "order.placed/coupon: is gone" in broken
    assert [path.name for path in tmp_path.iterdir()] == [PUBLISHED], "nothing is written then"
    assert json.loads((tmp_path / PUBLISHED).read_text(encoding="utf-8")) == promised


def test_writing_adds_what_is_new_and_twice_gives_the_same(tmp_path: Path) -> None:
    known = {"tick": {"open": True, "types": ["object"]}}
    (tmp_path / PUBLISHED).write_text(json.dumps(known), encoding="utf-8")
    assert write(tmp_path) == ("tick/watermark: is new and required",)
    (tmp_path / PUBLISHED).write_text("{}", encoding="utf-8")
    assert write(tmp_path) == ()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert write(tmp_path) == ()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert json.loads(first[PUBLISHED])["tick/watermark"] == {
        "format": "date-time",
        "required": True,
        "types": ["string"],
    }


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_a_schema_is_a_json_schema_that_names_its_event(event_type: str) -> None:
    schema: Any = validator(event_type).schema
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:regulars:event:{event_type}:v1"
    assert schema["properties"]["type"] == {"const": event_type}
    assert schema["description"] == " ".join(str(TYPES[event_type].__doc__).split())


@pytest.mark.parametrize("event_type", sorted(TYPES))
@given(drawn=st.data())
@settings(max_examples=20)
def test_every_event_fits_its_schema_and_comes_back_equal(event_type: str, drawn: st.DataObject) -> None:
    event = drawn.draw(_events(TYPES[event_type]))
    body = encode(event)
    assert [error.message for error in validator(event_type).iter_errors(json.loads(body))] == []
    assert Decoder((TYPES[event_type],)).decode(body) == event


@cache
def _events(data: type[Data]) -> st.SearchStrategy[Any]:
    return events_of(data)


def test_an_event_written_by_hand_fits() -> None:
    validator("order.placed").validate(EVENT)
    validator("order.placed").validate({**EVENT, "data": {**EVENT["data"], "gift": True}})  # readers ignore it


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"type": "order.paid"}, "$.type"),
        ({"specversion": "0.3"}, "$.specversion"),
        ({"subject": ""}, "$.subject"),
        ({"subject": "two words"}, "$.subject"),
        ({"shopid": "x" * 129}, "$.shopid"),
        ({"time": "2024-05-01T12:00:00"}, "$.time"),
        ({"time": 1714536000}, "$.time"),
        ({"data": {"order_id": "o"}}, "$.data"),
        (
            {"data": {"order_id": "o", "amount": {"amount_minor": 12.5, "currency": "CNY"}}},
            "$.data.amount.amount_minor",
        ),
        ({"data": {"order_id": "o", "amount": {"amount_minor": -1, "currency": "CNY"}}}, "$.data.amount.amount_minor"),
        ({"data": {"order_id": "o", "amount": {"amount_minor": 1, "currency": "cny"}}}, "$.data.amount.currency"),
        ({"data": {"order_id": "o", "amount": {"amount_minor": 1, "currency": "CNY", "tax": 1}}}, "$.data.amount"),
    ],
)
def test_an_event_with_a_fault_does_not_fit(change: dict[str, Any], path: str) -> None:
    assert {error.json_path for error in validator("order.placed").iter_errors({**EVENT, **change})} == {path}


@pytest.mark.parametrize("attribute", sorted(EVENT))
def test_no_attribute_may_be_missing(attribute: str) -> None:
    event = {name: value for name, value in EVENT.items() if name != attribute}
    (error,) = validator("order.placed").iter_errors(event)
    assert error.message == f"{attribute!r} is a required property"


def test_asyncapi_describes_every_topic_and_its_references_lead_somewhere() -> None:
    document = yaml.safe_load((DOCUMENTS / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"].keys() == {topic.name for topic in TOPICS}
    orders = document["channels"]["ingest.events.v1"]
    assert orders["bindings"]["kafka"]["partitions"] == 24
    assert orders["x-owner"] == "ingest"
    assert orders["messages"]["order.placed"] == {"$ref": "#/components/messages/order.placed"}
    assert document["components"]["messages"]["order.placed"]["payload"] == {"$ref": "order.placed.v1.json"}
    references = _references(document)
    assert len(references) > len(TYPES) + len(TOPICS)
    for reference in references:
        file, _, pointer = reference.partition("#")
        if file:
            assert (DOCUMENTS / file).is_file(), reference
            continue
        node = document
        for name in pointer.removeprefix("/").split("/"):
            assert name in node, reference
            node = node[name]
    for topic in TOPICS:
        assert list(document["channels"][topic.name]["messages"]) == [data.TYPE for data in topic.events]
        assert document["operations"][f"publish.{topic.name}"]["channel"] == {"$ref": f"#/channels/{topic.name}"}


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for part in node for found in _references(part)]
    if isinstance(node, dict):
        return [value for key, value in node.items() if key == "$ref"] + _references(list(node.values()))
    return []


def test_the_index_leads_to_every_event() -> None:
    text = (DOCUMENTS / "README.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^):]+)\)", text))
    assert links == {f"{name}.v1.json" for name in TYPES} | {"asyncapi.yaml", PUBLISHED}
    assert "| [order.paid](order.paid.v1.json) | The order is paid in full;" in text
    assert "`order_id`, `amount`, `items?` |" in text
