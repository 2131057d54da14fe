"""Every event that the contracts allow, made from the contracts themselves."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from common.contracts.envelope import Data, Envelope, Event

MAX_INTEGER = 2**63 - 1
MAX_ITEMS = 3  # of a list or mapping; more says nothing new
EXPECTED_CHARS = 20  # of a text without bounds


def events_of(data: type[Data]) -> st.SearchStrategy[Event[Data]]:
    """Events of one type."""
    envelope = msgspec.inspect.type_info(Envelope)
    assert isinstance(envelope, inspect.StructType)
    attributes = {field.name: values_of(field.type) for field in envelope.fields}
    attributes |= {"type": st.just(data.TYPE), "data": values_of(inspect.type_info(data))}
    make: Callable[..., Event[Data]] = Event
    return st.builds(make, **attributes)


def matching(pattern: str, max_chars: int | None) -> st.SearchStrategy[str]:
    """Texts of a pattern."""
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: max_chars is None or len(text) <= max_chars)


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911, PLR0912, C901 - one case per kind of type
    """Values of one type, within its bounds."""
    match kind:
        case inspect.Metadata(type=inspect.StrType() as text, extra_json_schema={"pattern": pattern}):
            return matching(str(pattern), text.max_length)  # published, and checked at the edge alone
        case inspect.Metadata():
            return values_of(kind.type)
        case inspect.StructType():
            return st.builds(kind.cls, **{field.name: values_of(field.type) for field in kind.fields})
        case inspect.UnionType():
            return st.one_of([values_of(branch) for branch in kind.types])
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.StrType(pattern=None):
            return st.text(min_size=kind.min_length or 0, max_size=kind.max_length or EXPECTED_CHARS)
        case inspect.StrType():
            return matching(str(kind.pattern), kind.max_length)
        case inspect.IntType():
            least, most = (
                kind.ge if kind.ge is not None else -MAX_INTEGER,
                kind.le if kind.le is not None else MAX_INTEGER,
            )
            return st.integers(least, most)
        case inspect.BoolType():
            return st.booleans()
        case inspect.AnyType():  # of a service's own: any JSON object
            return st.dictionaries(st.text(max_size=EXPECTED_CHARS), st.integers(-9, 9), max_size=MAX_ITEMS)
        case inspect.NoneType():
            return st.none()
        case inspect.DateTimeType():
            return st.datetimes(timezones=st.just(UTC))
        case inspect.VarTupleType():
            return st.lists(values_of(kind.item_type), max_size=MAX_ITEMS).map(tuple)
        case inspect.DictType():
            return st.dictionaries(values_of(kind.key_type), values_of(kind.value_type), max_size=MAX_ITEMS)
        case _:
            raise TypeError(f"the contracts use {kind}, of which no value can be made yet")
