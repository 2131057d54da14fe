"""Writes the contracts down: a JSON Schema per event, an AsyncAPI document, an index, and what has been published.

`python -m regulars.event_documents docs/events` writes them anew, unless that would break what has been published.
"""

import argparse
import inspect
import json
import sys
from pathlib import Path

import msgspec
import yaml

from common.contracts.envelope import Data, Event
from common.contracts.ingest import OF_THE_EDGE
from common.contracts.topics import TOPICS, Topic
from common.ids import PARTITIONS
from regulars.event_compatibility import REFERENCE, Schema, breaks, components, shape

PUBLISHED = "published.json"
TYPES: dict[str, type[Data]] = {data.TYPE: data for topic in TOPICS for data in topic.events}
INTRODUCTION = """\
# Events

Generated from `libs/common/common/contracts/` by `python -m regulars.event_documents docs/events`: do not edit.

Every event is a [CloudEvents 1.0](https://cloudevents.io) JSON object. `subject` is the customer, `shopid` the shop,
`time` what the sender claims, `receivedat` when it came in (the time everything is decided at), `causationid` what it
follows from; `historic` marks an import, of which nobody is told. `data` is what the tables below are about; a `?` is
a field that may be absent. Each event has a JSON Schema; [asyncapi.yaml](asyncapi.yaml) describes the topics, each of
{partitions} partitions with the key `shop/customer`. What is listed in [published.json](published.json) stays as it is.
"""
EDGE = """
## Only at the edge

Senders may tell these as they tell all others, by `POST /v1/events`. They are on no topic: ingest tells what follows
from them. A cart is known by shop, `source` and `cart_id`, and compared with the last one seen: what is more of an
item becomes `cart.item_added`, what is less `cart.item_removed`, with the difference as `quantity`; a cart older than
that one changes nothing. Payments of an order add up, each `payment_id` once, and in the moment they come to what is
to be paid (`amount` of `order.placed`, or of the newest `order.updated`) there is one `order.paid`. They may come
before the order.

Of an order each fact is told once: `order.placed`, `order.paid`, `order.cancelled` and `order.completed` once per
`order_id`, `order.refunded` once per `refund_id`, each `shipment.*` once per `shipment_id`, whatever the events' ids
and sources; `order.updated` when it says something new. So an `order_id` belongs to one order of the shop, whichever
platform it came from. `amount` of an order is without its refunds, which have events of their own.

| event | says | data |
|---|---|---|
"""


def schema(data: type[Data]) -> Schema:
    """The JSON Schema (draft 2020-12) of the whole event, envelope and data."""
    reference, definitions = components(Event[data])  # type: ignore[valid-type]  # known at run time
    whole = definitions.pop(reference["$ref"].removeprefix(REFERENCE))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:regulars:event:{data.TYPE}:v1",
        **whole,
        "title": data.TYPE,
        "description": _says(data),
        "properties": {**whole["properties"], "type": {"const": data.TYPE}},
        "$defs": dict(sorted(definitions.items())),
    }


def asyncapi() -> Schema:
    """The AsyncAPI 3.0 document. Payloads are plain references: its tools know no name for draft 2020-12."""
    key = {"type": "string", "description": "shop/customer; empty for what is said to the partition itself (tick)."}
    sequence = {"type": "string", "description": "xid:id of the owner's outbox row, strictly increasing per partition."}
    trait = {"headers": {"type": "object", "properties": {"sequence": sequence}}, "bindings": {"kafka": {"key": key}}}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Regulars", "version": "v1", "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"publish.{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {name: _message(data) for name, data in TYPES.items()},
            "messageTraits": {"event": trait},
        },
    }


def documents() -> dict[str, str]:
    """File name -> text of everything that is written; the same contracts give the same bytes."""
    places = (f"  {json.dumps(at)}: {json.dumps(demands, sort_keys=True)}" for at, demands in sorted(shape().items()))
    return {
        **{f"{name}.v1.json": json.dumps(schema(data), indent=2) + "\n" for name, data in TYPES.items()},
        "asyncapi.yaml": yaml.safe_dump(asyncapi(), sort_keys=False, width=120),
        "README.md": INTRODUCTION.format(partitions=PARTITIONS) + "".join(map(_table, TOPICS)) + _edge(),
        PUBLISHED: "{\n" + ",\n".join(places) + "\n}\n",
    }


def write(directory: Path) -> tuple[str, ...]:
    """Writes the documents, or nothing if that would break what the directory's `published.json` promises."""
    baseline = directory / PUBLISHED
    broken = breaks(json.loads(baseline.read_text(encoding="utf-8")) if baseline.exists() else {}, shape())
    if not broken:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in documents().items():
            (directory / name).write_text(text, encoding="utf-8")
    return broken


def _says(data: type[Data]) -> str:
    return " ".join((inspect.getdoc(data) or "").split())


def _about(topic: Topic) -> str:
    readers = f"read by {topic.owner} alone: its own work" if topic.work else "read by whom it concerns"
    return f"Written by {topic.owner} alone, {readers}. What a reader cannot take goes to `{topic.dead}`."


def _channel(topic: Topic) -> Schema:
    messages = {data.TYPE: {"$ref": f"#/components/messages/{data.TYPE}"} for data in topic.events}
    kafka = {"partitions": PARTITIONS, "bindingVersion": "0.5.0"}
    about = {"address": topic.name, "description": _about(topic), "x-owner": topic.owner}
    return {**about, "messages": messages, "bindings": {"kafka": kafka}}


def _message(data: type[Data]) -> Schema:
    trait = {"$ref": "#/components/messageTraits/event"}
    return {"summary": _says(data), "payload": {"$ref": f"{data.TYPE}.v1.json"}, "traits": [trait]}


def _operation(topic: Topic) -> Schema:
    return {"action": "send", "channel": {"$ref": f"#/channels/{topic.name}"}, "summary": f"Of {topic.owner} alone."}


def _table(topic: Topic) -> str:
    lines = ["", f"## {topic.name}", "", _about(topic), "", "| event | says | data |", "|---|---|---|"]
    lines += [f"| [{data.TYPE}]({data.TYPE}.v1.json) | {_says(data)} | {_fields(data)} |" for data in topic.events]
    return "\n".join(lines) + "\n"


def _edge() -> str:
    return EDGE + "".join(f"| {data.TYPE} | {_says(data)} | {_fields(data)} |\n" for data in OF_THE_EDGE)


def _fields(data: type[Data]) -> str:
    names = [f"`{field.encode_name}{'' if field.required else '?'}`" for field in msgspec.structs.fields(data)]
    return ", ".join(names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the documents of all events.")
    parser.add_argument("directory", type=Path, help="where to; docs/events of the repository")
    sys.exit("\n".join(write(parser.parse_args().directory)) or 0)
