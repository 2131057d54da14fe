"""A mapping as it stands in its file; docs/platforms/files.md explains it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, structs

from common.contracts.envelope import Rejection
from common.ids import Id
from common.money import Currency

S = TypeVar("S", bound=Struct)
Texts = tuple[str, ...]


class Csv(Struct, frozen=True, forbid_unknown_fields=True):
    """How a CSV file is written. Without `header` its first line names the columns."""

    delimiter: Annotated[str, Meta(min_length=1, max_length=10)] = ","
    quote: Annotated[str, Meta(max_length=1)] = '"'
    header: Texts | None = None
    skip_lines: Annotated[int, Meta(ge=0, le=1_000)] = 0


class PersonSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose a row is, as it stands in the file."""

    subject: str | None = None
    identities: dict[str, str] = {}
    personal: dict[str, str] = {}


class EventSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """An event that a row tells, as it stands in the file."""

    type: str
    id: str
    time: str | None = None
    where: Any = None
    data: dict[str, Any] = {}
    person: PersonSpec | None = None


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it."""

    format: Literal["csv", "ndjson", "parquet"]
    events: Annotated[tuple[Any, ...], Meta(min_length=1, max_length=50)]
    csv: Csv = Csv()
    encoding: str = "utf-8-sig"
    source: Id | None = None
    currency: Currency | None = None
    zone: str | None = None
    missing: Texts = ()
    columns: dict[str, Any] = {}
    keep: Any = None
    group: Texts = ()
    once: Texts = ()
    explode: str | None = None
    time: str | None = None
    person: PersonSpec | None = None


def filled(kind: type[S], tree: object, path: str, faults: list[Rejection]) -> S | None:
    """Field by field, since a conversion of the whole would stop at the first fault; without those that are faulty,
    where it can do without, so that the rest is looked at too."""
    if not isinstance(tree, Mapping):
        faults.append(Rejection(path, "must be an object"))
        return None
    known = {field.name: field for field in structs.fields(kind)}
    faults += [Rejection(f"{path}.{name}", "unknown field") for name in tree if name not in known]
    faults += [Rejection(f"{path}.{name}", "missing") for name, f in known.items() if f.required and name not in tree]
    values: dict[str, Any] = {}
    for name in (name for name in tree if name in known):
        try:
            values[name] = msgspec.convert(tree[name], known[name].type, str_keys=True)
        except msgspec.ValidationError as error:
            reason, _, inner = str(error).partition(" - at `")
            faults.append(Rejection(f"{path}.{name}{inner.rstrip('`').removeprefix('$')}", reason))
    complete = all(name in values for name, field in known.items() if field.required)
    return kind(**values) if complete else None
