"""A mapping: which columns a file has, which rows count, and which events a row or a group of rows tells."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from msgspec import Struct, structs

from common.contracts import ingest
from common.contracts.envelope import Data, Rejection
from common.money import minor_digits
from common.presets import Refused
from ingest.domain.accept import Identities, Personal
from regulars.files.columns import Column, ColumnSpec
from regulars.files.document import Csv, Document, EventSpec, PersonSpec, Texts, filled
from regulars.files.nodes import REFERENCE, Condition, Node, Scope
from regulars.files.records import Layout

SUFFIX = ".yaml"
MAX_BYTES = 200_000
TYPES: Mapping[str, type[Data]] = {t.TYPE: t for t in ingest.FROM_SENDERS if t is not ingest.HistoryEnded}


class BadMapping(Refused):
    """A mapping that cannot be used, or is not there: each fault with its path."""


class EventRule(Struct, frozen=True):
    """An event that a row tells, ready to be asked."""

    type: str
    id: Node
    time: str
    where: Condition | None
    data: Node
    subject: Node
    identities: Node
    personal: Node


class FileMapping(Struct, frozen=True):
    """A mapping, ready to be used. `layout` says which cells of a row it needs."""

    name: str
    content: bytes
    format: Literal["csv", "ndjson", "parquet"]
    csv: Csv
    encoding: str
    source: str
    currency: str | None
    layout: Layout
    keep: Condition | None
    group: Texts
    once: Texts
    explode: str | None
    rules: tuple[EventRule, ...]


def load(named: str) -> FileMapping:
    """The mapping in a file, or the packaged one of the name; raises BadMapping with every fault."""
    place = Path(named)
    packaged = files("regulars") / "mappings"
    if not place.is_file():
        known = sorted(f.name.removesuffix(SUFFIX) for f in packaged.iterdir() if f.name.endswith(SUFFIX))
        if named not in known:
            raise BadMapping(f"no mapping {named!r}: neither a file, nor one of {', '.join(known)}")
    source = place if place.is_file() else packaged / f"{named}{SUFFIX}"
    try:
        content = source.read_bytes()
        parsed = parse(content.decode("utf-8"), place.stem)
    except UnicodeDecodeError as error:
        raise BadMapping(f"{named}: not UTF-8: {error}") from None
    if isinstance(parsed, tuple):
        raise BadMapping("\n".join(f"{named}: {fault.path}: {fault.reason}" for fault in parsed))
    return parsed


def parse(text: str, name: str) -> FileMapping | tuple[Rejection, ...]:
    """The mapping that the YAML says, or every fault in it."""
    if len(text) > MAX_BYTES:
        return (Rejection("$", f"larger than {MAX_BYTES} characters"),)
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return (Rejection("$", f"is not YAML: {error}"),)
    faults: list[Rejection] = []
    document = filled(Document, tree, "$", faults)
    if document is None:
        return tuple(faults)
    specs = {name: spec for name, tree in document.columns.items() if (spec := _column_spec(name, tree, faults))}
    columns = dict(_columns(specs, document, faults))
    scope = Scope(columns, document.currency)
    sources = {column_name: _sources(column_name, spec, scope) for column_name, spec in specs.items()}
    keep = scope.condition(document.keep, "$.keep")
    rules = [
        _rule(f"$.events[{number}]", tree, document, scope, columns) for number, tree in enumerate(document.events)
    ]
    group, once = (tuple(map(scope.name, names)) for names in (document.group, document.once))
    if once and not (group or document.explode):
        scope.fault("$.once", "is for rows that are grouped")
    if document.explode is not None and (document.format == "csv" or group):
        scope.fault("$.explode", "is for ndjson and parquet, without `group`")
    if faults or scope.faults:
        return (*faults, *scope.faults)
    layout = Layout(tuple(scope.cells), document.missing)
    layout.columns, layout.sources = columns, sources
    return FileMapping(
        name=name,
        content=text.encode(),
        format=document.format,
        csv=document.csv,
        encoding=document.encoding,
        source=document.source or name,
        currency=document.currency,
        layout=layout,
        keep=keep,
        group=group,
        once=once,
        explode=document.explode,
        rules=tuple(rule for rule in rules if rule is not None),
    )


def _column_spec(name: str, tree: object, faults: list[Rejection]) -> ColumnSpec | None:
    if isinstance(tree, Mapping) and isinstance(tree.get("map"), Mapping):
        tree = {**tree, "map": {str(key): value for key, value in tree["map"].items()}}
    return filled(ColumnSpec, {"type": tree} if isinstance(tree, str) else tree, f"$.columns.{name}", faults)


def _columns(specs: Mapping[str, ColumnSpec], document: Document, faults: list[Rejection]) -> list[tuple[str, Column]]:
    columns: list[tuple[str, Column]] = []
    digits = minor_digits(document.currency or "")
    for name, spec in specs.items():
        path = f"$.columns.{name}"
        if spec.type == "money" and document.currency is None:
            faults.append(Rejection("$.currency", f"missing: {name} is money"))
        if spec.column is not None and spec.join is not None:
            faults.append(Rejection(f"{path}.join", "goes not with `column`"))
        if spec.times is not None and (spec.times not in specs or specs[spec.times].type != "integer"):
            faults.append(Rejection(f"{path}.times", "must be a column of type integer"))
        try:
            columns.append((name, Column(spec, document.zone, digits)))
        except ValueError as error:
            field, _, reason = str(error).partition(": ")
            faults.append(Rejection(f"{path}.{field}", reason))
    return columns


def _sources(name: str, spec: ColumnSpec, scope: Scope) -> tuple[tuple[str, str], ...]:
    """The cells a column is made of, each with the text before it."""
    if spec.join is None:
        cell = spec.column or name
        scope.cells[cell] = None
        return (("", cell),)
    pieces = REFERENCE.split(spec.join)
    scope.cells |= dict.fromkeys(pieces[1::2])
    return tuple(zip(pieces[::2], [*pieces[1::2], ""], strict=True))


def _rule(path: str, tree: object, document: Document, scope: Scope, columns: Mapping[str, Column]) -> EventRule | None:
    spec = filled(EventSpec, tree, path, scope.faults)
    if spec is None:
        return None
    if (data_type := TYPES.get(spec.type)) is None:
        scope.fault(f"{path}.type", f"is none of {', '.join(TYPES)}")
    else:
        known = {field.name: field for field in structs.fields(data_type)}
        for name in (name for name in spec.data if name not in known):
            scope.fault(f"{path}.data.{name}", f"is no field of {spec.type}; those are {', '.join(known) or 'none'}")
        for name in (name for name, field in known.items() if field.required and name not in spec.data):
            scope.fault(f"{path}.data.{name}", "missing")
    time = spec.time or document.time
    if time is None or time not in columns or columns[time].kind != "time":
        scope.fault(f"{path}.time", "must be a column of type time, here or for all events as `time` beside `events`")
    own = spec.person is not None
    person = spec.person or document.person or PersonSpec()
    whose = f"{path}.person" if own else "$.person"
    for part, kind in (("identities", Identities), ("personal", Personal)):
        for name in set(getattr(person, part)) - set(kind.__struct_fields__):
            scope.fault(f"{whose}.{part}.{name}", f"is none of {', '.join(kind.__struct_fields__)}")
    return EventRule(
        type=spec.type,
        id=scope.word(spec.id, f"{path}.id"),
        time=time or "",
        where=scope.condition(spec.where, f"{path}.where"),
        data=scope.object(spec.data, f"{path}.data"),
        subject=(lambda _: None) if person.subject is None else scope.word(person.subject, f"{whose}.subject"),
        identities=_names(person.identities, f"{whose}.identities", scope),
        personal=_names(person.personal, f"{whose}.personal", scope),
    )


def _names(templates: Mapping[str, str], path: str, scope: Scope) -> Node:
    nodes = {name: scope.word(template, f"{path}.{name}") for name, template in templates.items()}
    return lambda rows: {name: value for name, node in nodes.items() if (value := node(rows)) is not None}
