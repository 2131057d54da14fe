"""What has been published stays: today's contracts compared with those that somebody already reads and writes by.

The rule. Consumers written against the published contracts read new events, and new consumers read old events. So of
what is published only the wording may change, and what may come is a topic, an event type, or an optional field in an
open record, whose readers ignore what they do not know. Everything else breaks somebody:

    gone: a topic, a type, a field                        consumers read it
    newly required, or new and required                   old events lack it
    no longer required                                    consumers count on it, new events may lack it
    fewer types or values, tighter bounds                 new consumers refuse old events
    more types or values, looser bounds                   old consumers refuse new events
    another default                                       old events that left the field out change their meaning
    a field in a closed record                            old consumers refuse it
    another number of partitions                          customers change partition, their order is lost

Who must do such a thing gives the event a new type name, and writes both until nobody reads the old one.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from common.contracts.envelope import Envelope
from common.contracts.topics import TOPICS
from common.ids import PARTITIONS

Schema = dict[str, Any]
Shape = Mapping[str, Mapping[str, Any]]  # a place, such as `order.placed/items/[]/quantity` -> what is demanded there
REFERENCE = "#/$defs/"
WORDING = {"title", "description", "examples"}
STRUCTURE = {"$ref", "anyOf", "type", "properties", "required", "items", "additionalProperties"}


def components(of: Any) -> tuple[Schema, Schema]:
    """The JSON Schema of a type, and the definitions that it refers to."""
    described = msgspec.json.schema_components([of], ref_template=REFERENCE + "{name}")
    (node,), definitions = json.loads(json.dumps(described))  # plain JSON: a default of () is [] in a file
    return node, definitions


def shape() -> Shape:
    """Every place of today's contracts: the envelope, each type's data, each topic with the types it holds."""
    places = shape_of("envelope", *components(Envelope))
    for topic in TOPICS:
        places[topic.name] = {"open": True, "partitions": PARTITIONS}
        for data in topic.events:
            places[f"{topic.name}/{data.TYPE}"] = {}
            places |= shape_of(data.TYPE, *components(data))
    return places


def shape_of(place: str, node: Schema, definitions: Schema, **demands: object) -> dict[str, Schema]:
    """The place and all below it; the branches of a union are one place that allows several types."""
    branches = [definitions[b["$ref"].removeprefix(REFERENCE)] if "$ref" in b else b for b in node.get("anyOf", [node])]
    for part in (node, *branches):
        demands |= {key: value for key, value in part.items() if key not in WORDING | STRUCTURE}
    demands["types"] = sorted(branch.get("type", "enum" if "enum" in branch else "any") for branch in branches)
    places = {place: demands}
    for branch in branches:
        if branch.get("type") == "object":
            demands["open"] = branch.get("additionalProperties", True) is not False
        for name, part in branch.get("properties", {}).items():
            places |= shape_of(f"{place}/{name}", part, definitions, required=name in branch.get("required", ()))
        for key, name in (("items", "[]"), ("additionalProperties", "*")):
            if isinstance(branch.get(key), dict):
                places |= shape_of(f"{place}/{name}", branch[key], definitions)
    return places


def breaks(published: Shape, current: Shape) -> tuple[str, ...]:
    """What of the current shape breaks a promise of the published one, by the rule above; empty if nothing does."""
    found = []
    for place, promised in published.items():
        if place not in current:
            found.append(f"{place}: is gone")
            continue
        for key in sorted(promised.keys() | current[place].keys()):
            was, now = promised.get(key), current[place].get(key)
            if was != now:
                found.append(f"{place}: {key} was {json.dumps(was)}, is {json.dumps(now)}")
    for place in current.keys() - published.keys():
        around = published.get(place.rpartition("/")[0])
        if around is not None and not around.get("open"):
            found.append(f"{place}: is new in a closed record")
        elif around is not None and current[place].get("required"):
            found.append(f"{place}: is new and required")
    return tuple(sorted(found))
