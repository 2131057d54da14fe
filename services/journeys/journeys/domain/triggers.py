"""The events that a journey can be entered or left on, and what of an event a journey can name."""

from collections.abc import Iterator
from typing import get_args

from msgspec import inspect, structs

from common.contracts import ingest
from common.contracts.envelope import Data
from common.ids import Id
from common.money import Money

# Kept in every customer's memory, hence short. A code is never taken away or given to another type.
CODES: dict[type[Data], str] = {
    ingest.OrderPlaced: "o",
    ingest.OrderUpdated: "u",
    ingest.OrderPaid: "p",
    ingest.OrderCancelled: "x",
    ingest.OrderRefunded: "r",
    ingest.OrderCompleted: "c",
    ingest.ShipmentDispatched: "d",
    ingest.ShipmentArrivedInCity: "a",
    ingest.ShipmentOutForDelivery: "l",
    ingest.ShipmentDelivered: "h",
    ingest.CartItemAdded: "+",
    ingest.CartItemRemoved: "-",
    ingest.ReviewSubmitted: "v",
    ingest.Visit: "i",
    ingest.Share: "s",
}
TYPES: dict[str, type[Data]] = {data_type.TYPE: data_type for data_type in CODES}


def key_fields(data_type: type[Data]) -> tuple[str, ...]:
    """The fields that hold an id: those can tell one enrollment from another."""
    return tuple(f.name for f in structs.fields(data_type) if f.type == Id or Id in get_args(f.type))


def askable_fields(data_type: type[Data]) -> dict[str, type]:
    """The fields a `where` can ask about: dotted path to type, lists of records left out."""
    return dict(_scalars(inspect.type_info(data_type), ""))


def _scalars(info: inspect.Type, path: str) -> Iterator[tuple[str, type]]:
    match info:
        case inspect.Metadata(type=inner):
            yield from _scalars(inner, path)
        case inspect.StructType(fields=fields):
            for below in fields:
                yield from _scalars(below.type, f"{path}.{below.name}" if path else below.name)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _scalars(one, path)
        case inspect.VarTupleType(item_type=item):
            yield from ((path, tuple[kind, ...]) for below, kind in _scalars(item, "") if not below)  # type: ignore[valid-type]
        case inspect.StrType() | inspect.LiteralType():
            yield path, str
        case inspect.IntType():
            yield path, int
        case inspect.BoolType():
            yield path, bool
        case _:
            pass


def amount_of(data: Data) -> Money | None:
    """What the event is worth, where it says so; messages may name it."""
    amount = getattr(data, "amount", None)
    return amount if isinstance(amount, Money) else None
