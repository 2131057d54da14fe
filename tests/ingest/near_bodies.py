"""Deliveries near to and far from what a platform sends, for any connector there is: made of the very types that its
module reads, of the texts that stand in it, and of real shapes that something has been done to."""

import json
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st
from msgspec import Struct, inspect

from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Delivery
from tests.tidy.tree import ROOT

PAYLOADS = Path(os.environ.get("REGULARS_PAYLOADS", ROOT.parent / "shared" / "payloads"))
SAMPLES_MAX = 40  # of one platform
DEPTH_MAX = 5
TEXTS_MAX = 300  # of one connector's own
TOPIC = re.compile(r"[a-z_]+[/.][a-z_]+")
WORD = re.compile(r"[\w./:-]{1,40}")

# What breaks readers of bodies: numbers and times at the edge, texts that look like something else, what nobody writes.
ODD = (
    "", " ", "0", "1", "-1", "1.5", "12.50", "-3.00", "1e999999", "NaN", "Infinity", "true", "null", "9" * 40,
    "2026-01-31 09:05:00", "2026-01-31T09:05:00", "2026-01-31T09:05:00+08:00", "2026-02-31T00:00:00Z",
    "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999-14:00", "2026-01-31T09:05:00+99:99", "1767225600",
    "1767225600000", "99999999999999999999", "CNY", "USD", "¥12", "{}", "[]", "\"", "%7B%7D", "a+b%20c", "a b\x00c",
    "\ud83d", "杭州市", "正在派送中", "快件到达 【杭州】", "138****8000", "13800138000", "a@example.com", "٣",
    "x" * 300,
)  # fmt: skip
# Real shapes, for the connectors whose types do not say all of it; written by hand.
SHAPES: Mapping[str, tuple[Any, ...]] = {
    "shopify": (
        {
            "id": 5001, "name": "#1001", "cart_token": "t1", "currency": "CNY", "total_price": "29.35", "test": False,
            "created_at": "2026-03-22T19:28:02+08:00", "updated_at": "2026-03-22T19:30:00+08:00",
            "processed_at": "2026-03-22T19:28:02+08:00", "cancelled_at": None, "financial_status": "paid",
            "fulfillment_status": None, "email": "jane@example.com", "phone": None,
            "customer": {"id": 71, "email": "jane@example.com", "first_name": "Jane", "phone": "+8613800138000"},
            "line_items": [{"id": 1, "product_id": 93, "variant_id": 94, "name": "Tea", "quantity": 2, "price": 6}],
            "refunds": [{"id": 9, "order_id": 5001, "transactions": [{"id": 3, "kind": "refund", "amount": "10.00"}]}],
            "fulfillments": [{"id": 8, "order_id": 5001, "status": "success", "tracking_company": "SF"}],
        },
        {
            "id": "t1", "token": "t1", "created_at": "2026-03-22T11:28:02Z", "updated_at": "2026-03-22T11:28:02Z",
            "line_items": [{"id": 1, "product_id": 93, "variant_id": 94, "name": "Tea", "quantity": 2, "price": 6}],
        },
        {
            "id": 71, "email": "jane@example.com", "phone": None, "created_at": "2026-03-22T19:28:02+08:00",
            "updated_at": "2026-03-22T19:28:02+08:00", "first_name": "Jane",
            "email_marketing_consent": {"state": "subscribed", "consent_updated_at": "2026-03-22T19:28:02+08:00"},
        },
    ),
    "woocommerce": (
        {
            "id": 727, "status": "processing", "currency": "CNY", "total": "29.35", "customer_id": 12,
            "date_created_gmt": "2026-03-22T19:28:02", "date_paid_gmt": "2026-03-22T19:28:08",
            "billing": {"email": "jane@example.com", "first_name": "Jane", "phone": "(555) 555-0100"},
            "line_items": [{"product_id": 93, "name": "Tea", "quantity": 2, "price": 6, "total": "12.00"}],
            "refunds": [{"id": 9, "total": "-10.00"}],
        },
    ),
    "kuaidi100": (
        {
            "status": "polling",
            "lastResult": {
                "nu": "SF100", "com": "shunfeng", "state": "3",
                "data": [{"time": "2026-06-30 10:34:33", "context": "已签收", "statusCode": "301"}],
            },
        },
    ),
    "kdniao": (
        {
            "EBusinessID": "12", "Count": "1",
            "Data": [
                {
                    "LogisticCode": "YD1", "OrderCode": "o1", "Callback": "customer=c1&city=杭州市", "State": "3",
                    "Traces": [{"AcceptTime": "2026-02-28 12:00:00", "AcceptStation": "本人签收", "Action": "301"}],
                },
            ],
        },
    ),
    "aftership": (
        {
            "event": "tracking_update", "event_id": "e1",
            "msg": {
                "tracking_number": "94", "tag": "Delivered",
                "custom_fields": {"customer_id": "c1", "order_id": "o1", "city": "Boston"},
                "checkpoints": [{"checkpoint_time": "2026-01-14T00:52:00Z", "message": "Accepted", "tag": "InTransit"}],
            },
        },
    ),
}  # fmt: skip
QUERY = {"order": "o1", "customer": "c1", "city": "杭州市"}  # what a shop writes behind the address it gives a tracker
# Platforms that send a form, and the field that their JSON stands in.
FORMS = {"kuaidi100": "param", "kdniao": "RequestData"}

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@cache
def deliveries(kind: str) -> st.SearchStrategy[Delivery]:
    """Unsigned; for platforms that send a form, the body is that of its field."""
    typed, far = _typed(kind).map(_json), _anything(kind).map(_json)
    near = _changed(kind).map(_json) if _samples(kind) else typed
    # Not `one_of`, which takes alternatives apart and each of them once.
    bodies = st.sampled_from((near, near, near, typed, far, st.binary(max_size=120))).flatmap(lambda chosen: chosen)
    names = {name: _texts(kind).map(_header) for name in CONNECTORS[kind].heeds}
    topics = {name: _topics(kind) for name in names if "topic" in name}
    headers = st.fixed_dictionaries(topics, optional={name: made for name, made in names.items() if name not in topics})
    asked = st.dictionaries(st.sampled_from(("order", "customer", "city", "x")), _texts(kind).map(_whole), max_size=4)
    query = st.sampled_from((st.just(QUERY), st.just(QUERY), asked)).flatmap(lambda chosen: chosen)
    return st.builds(Delivery, bodies, headers, query)


def _json(told: Any) -> bytes:
    return json.dumps(told, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")


def _whole(text: str) -> str:
    """Without halves of characters, which no URL holds."""
    return text.encode("utf-8", "replace").decode()


def _header(text: str) -> str:
    """As a server reads a header, on one line and byte by byte."""
    return " ".join(_whole(text).split()).encode().decode("latin-1")


def in_a_form(kind: str, body: bytes, **more: bytes | str) -> bytes:
    """As the platform sends it, where that is a form."""
    return urlencode({FORMS[kind]: body, **more}).encode() if kind in FORMS else body


# ---- of the connector's own types and texts


def _modules(kind: str) -> list[ModuleType]:
    """The connector's module, and those that are named after it."""
    first = str(CONNECTORS[kind].convert.__module__)
    folder = first.rpartition(".")[0]
    names = [name for name in sys.modules if name == first or name.startswith(f"{folder}.{kind}_")]
    return [sys.modules[name] for name in sorted(names)]


@cache
def _structs(kind: str) -> tuple[type[Struct], ...]:
    found = {
        value
        for module in _modules(kind)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Struct) and value.__module__.startswith(f"{module.__name__}")
    }
    found.discard(CONNECTORS[kind].options)
    return tuple(sorted(found, key=lambda struct: struct.__qualname__))


@cache
def _words(kind: str) -> tuple[str, ...]:
    """Texts that stand in the connector: codes, topics, names of fields."""
    found: dict[str, None] = {}

    def gather(value: Any, depth: int = 0) -> None:
        match value:
            case str():
                found.update(dict.fromkeys(WORD.findall(value)[:3]) if len(value) > 40 else {value: None})
            case re.Pattern():
                found.update(dict.fromkeys(re.findall(r"\w{2,}", str(value.pattern))))
            case Mapping() if depth < DEPTH_MAX:
                for name, inner in value.items():
                    gather(name, depth + 1)
                    gather(inner, depth + 1)
            case list() | tuple() | set() | frozenset() if depth < DEPTH_MAX:
                for inner in value:
                    gather(inner, depth + 1)
            case _:
                pass

    for module in _modules(kind):
        for name, value in vars(module).items():
            if not name.startswith("__"):
                gather(value)
    for struct in _structs(kind):
        gather(struct.__struct_encode_fields__)
    return tuple(found)[:TEXTS_MAX]


@cache
def _texts(kind: str) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(_words(kind) or ODD), st.sampled_from(ODD), st.text(max_size=20))


def _topics(kind: str) -> st.SearchStrategy[str]:
    """Mostly such as the connector knows: orders/paid, order.updated."""
    known = [word for word in _words(kind) if TOPIC.fullmatch(word)] or ["order.updated"]
    chosen = st.sampled_from((st.sampled_from(known),) * 4 + (_texts(kind).map(_header),))
    return chosen.flatmap(lambda made: made)


@cache
def _anything(kind: str) -> st.SearchStrategy[Any]:
    names = st.sampled_from(_words(kind) or ODD)
    return st.recursive(
        SCALARS | _texts(kind),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
        max_leaves=15,
    )


@cache
def _typed(kind: str) -> st.SearchStrategy[Any]:
    """Of one of the types that the connector reads; each field right more often than not."""
    of_each = [_of(kind, inspect.type_info(struct), 0) for struct in _structs(kind)]
    return st.one_of(of_each) if of_each else _anything(kind)


def _of(kind: str, wanted: inspect.Type, depth: int) -> st.SearchStrategy[Any]:
    """What a field of the type may hold."""
    made: st.SearchStrategy[Any]
    match wanted:
        case _ if depth > DEPTH_MAX:
            made = st.none()
        case inspect.StructType(fields=fields):
            made = _struct(kind, fields, depth)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            made = st.lists(_of(kind, item, depth + 1), max_size=3)
        case inspect.DictType(value_type=value):
            made = st.dictionaries(_texts(kind), _of(kind, value, depth + 1), max_size=3)
        case inspect.UnionType(types=types):
            made = st.one_of(*(_of(kind, each, depth) for each in types))
        case inspect.LiteralType(values=values):
            made = st.sampled_from(values)
        case inspect.IntType():
            made = st.integers() | st.sampled_from((0, 1, -1, 2**53 + 1, 10**18, 10**30, 1_767_225_600_000))
        case inspect.FloatType() | inspect.DecimalType() | inspect.BoolType() | inspect.NoneType():
            made = SCALARS
        case inspect.RawType() | inspect.AnyType():  # a message in the message, as it is or as a text
            inner = st.deferred(lambda: _typed(kind)) if depth <= 1 else _anything(kind)
            made = inner | inner.map(_as_text)
        case _:
            made = _texts(kind) | (_anything(kind).map(_as_text) if depth <= 1 else st.just("{}"))
    return made


def _struct(kind: str, fields: tuple[inspect.Field, ...], depth: int) -> st.SearchStrategy[Any]:
    made: dict[str, st.SearchStrategy[Any]] = {
        field.encode_name: st.one_of(*[_of(kind, field.type, depth + 1)] * 4, SCALARS, _texts(kind)) for field in fields
    }
    return st.fixed_dictionaries(made) | st.fixed_dictionaries({}, optional=made)


def _as_text(told: Any) -> str:
    """Some platforms write JSON into a text of their JSON."""
    return _json(told).decode("utf-8", "surrogatepass")


# ---- of real shapes


@cache
def _samples(kind: str) -> tuple[Any, ...]:
    """By hand, and those beside the repository where there are any."""
    found = list(SHAPES.get(kind, ()))
    for folder in sorted(PAYLOADS.glob(f"{kind}*")) if PAYLOADS.is_dir() else ():
        for path in sorted(folder.rglob("*.json")):
            try:
                found.append(json.loads(path.read_bytes()))
            except ValueError:  # a capture of more than the body
                continue
    return tuple(found[:SAMPLES_MAX])


@st.composite
def _changed(draw: st.DrawFn, kind: str) -> Any:
    """A real one, after up to three strokes of bad luck."""
    known = draw(st.sampled_from((SHAPES.get(kind) or _samples(kind), _samples(kind))))
    sample = json.loads(json.dumps(draw(st.sampled_from(known))))
    for _ in range(draw(st.sampled_from((0, 1, 1, 2, 3)))):
        sample = _struck(draw, kind, sample)
    return sample


def _struck(draw: st.DrawFn, kind: str, whole: Any) -> Any:
    places = list(_places(whole))
    if not places:
        return draw(_anything(kind))
    inside, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(("gone", "odd", "odd", "twice", "other", "as text"))):
        case "gone":
            del inside[key]
        case "odd":
            inside[key] = draw(_texts(kind) | SCALARS)
        case "twice":
            inside[key] = [inside[key], inside[key]]
        case "other":
            inside[key] = draw(_anything(kind))
        case _:
            inside[key] = json.dumps(inside[key])
    return whole


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found.append((value, key))
        found += _places(each)
    return found
