"""Kdniao (快递鸟): a form whose `RequestData` holds the whole tracks of several parcels, oldest line first.

The shop's own ids come back in `OrderCode` and in `Callback`, which it gives when it subscribes to a parcel.
"""

import hmac
from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import md5
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from msgspec import Struct

from common.contracts.envelope import Rejection
from ingest.connectors.chinese import BEIJING, WRITTEN, beijing
from ingest.connectors.form import fields
from ingest.connectors.kuaidi100 import Code
from ingest.connectors.parcels import Line, Parcel, Step, owner, told
from ingest.connectors.port import Answer, Connector, Converted, Delivery, Fault, Ignored, Origin, decode

TRACKS = (b"101", b"102")  # RequestType: plain, and with what is paid for beside; others tell no tracks
MAX_CALLBACK_FIELDS = 10
PUSHED_WITHIN = timedelta(days=1)  # for how long a push is tried again is not written anywhere

# `Action` of a line and `StateEx` of the parcel; plain `State` stops at 4 and means the same below it.
STEPS: dict[str, Step] = {
    "1": "dispatched",
    "201": "arrived_in_city",
    "202": "out_for_delivery",
    "3": "delivered",
    "301": "delivered",
    "302": "delivered",
    "304": "delivered",
    "311": "delivered",
}
WAITS = ("0", "10")
TURNED_BACK = ("404", "406", "407", "413")  # refused, returned (two), intercepted


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`unsigned`: take pushes without DataSign too. Then only who knows the address can send: keep it secret."""

    unsigned: bool = False


class Trace(Struct, frozen=True):
    """One line."""

    time: str = msgspec.field(name="AcceptTime")
    text: str | None = msgspec.field(name="AcceptStation", default=None)
    place: str | None = msgspec.field(name="Location", default=None)
    action: Code = msgspec.field(name="Action", default=None)


class Track(Struct, frozen=True):
    """One parcel."""

    number: str | None = msgspec.field(name="LogisticCode", default=None)
    carrier: str | None = msgspec.field(name="ShipperCode", default=None)
    order: str | None = msgspec.field(name="OrderCode", default=None)
    callback: str | None = msgspec.field(name="Callback", default=None)
    state: Code = msgspec.field(name="State", default=None)
    state_ex: Code = msgspec.field(name="StateEx", default=None)
    traces: tuple[Trace, ...] | None = msgspec.field(name="Traces", default=None)


class RequestData(Struct, frozen=True):
    """What is pushed."""

    data: tuple[Track, ...] = msgspec.field(name="Data", default=())


class Sender(Struct, frozen=True):
    """Whose account it is, and when it was pushed."""

    business: Code = msgspec.field(name="EBusinessID", default=None)
    pushed_at: Code = msgspec.field(name="PushTime", default=None)


_DATA = msgspec.json.Decoder(RequestData)
_SENDER = msgspec.json.Decoder(Sender)


def is_signed(delivery: Delivery, app_key: str) -> bool:
    """base64(hex(MD5(RequestData + AppKey))), over the field as it came or without the encoding that it may wear."""
    form = fields(delivery.body)
    given = form.get("DataSign", b"").replace(b" ", b"+")
    found = [hmac.compare_digest(_signature(data, app_key), given) for data in _readings(form)]
    return any(found)


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """The steps of all parcels; one that cannot be told of does not keep back the others."""
    form = fields(delivery.body)
    if form.get("RequestType", TRACKS[0]) not in TRACKS:
        return Ignored("no tracks")
    if "RequestData" not in form:
        raise Fault(Rejection("$.RequestData", "missing"))
    pushed = decode(_DATA, _readings(form)[-1], "$.RequestData")
    events: list[bytes] = []
    rejections: list[Rejection] = []
    for number, track in enumerate(pushed.data):
        try:
            events += _told(track, origin, f"$.RequestData.Data[{number}]")
        except Fault as fault:
            rejections.append(fault.rejection)
    return Converted(tuple(events), tuple(rejections)) if events or rejections else Ignored("no track")


def _told(track: Track, origin: Origin[Options], path: str) -> tuple[bytes, ...]:
    if not track.traces:
        return ()
    lines = [_line(trace, f"{path}.Traces[{number}].AcceptTime") for number, trace in enumerate(track.traces)]
    state = str(track.state_ex if track.state_ex not in (None, "", 0, "0") else track.state)
    return told(origin, _parcel(track, path), lines, STEPS.get(state), state in TURNED_BACK)


def _parcel(track: Track, path: str) -> Parcel:
    given = dict(_fields_of(track.callback or "", path))
    order_id = given.get("order") or track.order
    return owner(track.number, order_id, given.get("customer"), given.get("city"), track.carrier, f"{path}.OrderCode")


def _fields_of(callback: str, path: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(callback, max_num_fields=MAX_CALLBACK_FIELDS)
    except ValueError:
        raise Fault(Rejection(f"{path}.Callback", "expected customer=...&city=...")) from None


def _line(trace: Trace, path: str) -> Line:
    code = "" if trace.action is None else str(trace.action)
    at = beijing(trace.time, path)
    return Line(at, trace.text or "", STEPS.get(code), trace.place or "", code in WAITS, code in TURNED_BACK)


def _readings(form: dict[str, bytes]) -> tuple[bytes, ...]:
    """The field as it came and, where JSON stands in it encoded once more, that; the last is the JSON."""
    data = form.get("RequestData", b"")
    return (data, unquote_to_bytes(data)) if data[:1] == b"%" else (data,)


def _signature(data: bytes, app_key: str) -> bytes:
    return b64encode(md5(data + app_key.encode(), usedforsecurity=False).hexdigest().encode())


def sent_at(delivery: Delivery) -> datetime | None:
    """`PushTime`, which is signed with the rest; None where it cannot be read."""
    try:
        said = _SENDER.decode(_readings(fields(delivery.body))[-1]).pushed_at
        return None if said is None else beijing(str(said), "$.RequestData.PushTime")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Fault):
        return None


def may_be_unsigned(delivery: Delivery, options: Options) -> bool:
    """Where the shop allows it, and nothing that looks like a signature came."""
    return options.unsigned and not fields(delivery.body).get("DataSign")


def answer(delivery: Delivery, now: datetime) -> Answer:
    """Their own number again, and the time in Beijing."""
    try:
        business = _SENDER.decode(_readings(fields(delivery.body))[-1]).business
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        business = None
    at = now.astimezone(BEIJING).strftime(WRITTEN)
    told = {"EBusinessID": str(business or ""), "UpdateTime": at, "Success": True, "Reason": ""}
    return Answer(msgspec.json.encode(told))


CONNECTOR = Connector(
    "kdniao",
    "platform",
    Options,
    (),
    is_signed,
    convert,
    may_be_unsigned=may_be_unsigned,
    answer=answer,
    sent_at=sent_at,
    within=PUSHED_WITHIN,
)
