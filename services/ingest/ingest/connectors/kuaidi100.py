"""Kuaidi100: a form whose `param` is the whole track, newest line first; times are Beijing's.

Our own ids come back only in the address that the shop registers with each parcel. Codes are exact for what is new
(1001 arrived in the receiver's city), but many carriers give only coarse ones, so what a line says counts as well.
"""

import hmac
from datetime import datetime
from hashlib import md5

import msgspec
from msgspec import Struct

from common.contracts.envelope import Rejection
from ingest.connectors.chinese import beijing
from ingest.connectors.form import fields
from ingest.connectors.parcels import Line, Parcel, Step, city_of, owner, told
from ingest.connectors.port import Answer, Connector, Converted, Delivery, Fault, Ignored, Origin, decode

Code = str | int | None

# Of a line (`statusCode`) and of the whole parcel (`state`). Four digits at most; 501 and 304 differ: in a locker, and
# handed over by way of one.
STEPS: dict[str, Step] = {
    "1": "dispatched",
    "103": "dispatched",
    "1001": "arrived_in_city",
    "5": "out_for_delivery",
    "3": "delivered",
    "301": "delivered",
    "302": "delivered",
    "303": "delivered",
    "304": "delivered",
}
WAITS = ("101", "102", "401")  # ordered, not collected yet, called off
TURNED_BACK = ("4", "6", "14")  # returned and signed for, on its way back, refused
# The state's own words where a line has no code.
WORDS: dict[str, Step] = {"到达派件城市": "arrived_in_city", "派件": "out_for_delivery", "签收": "delivered"}


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


class TrackLine(Struct, frozen=True):
    """One line; newer subscriptions add a code and a place."""

    time: str
    context: str | None = None
    status: str | None = None
    code: Code = msgspec.field(name="statusCode", default=None)
    area: str | None = msgspec.field(name="areaName", default=None)


class Place(Struct, frozen=True):
    """A place of the route."""

    name: str | None = None


class Route(Struct, frozen=True):
    """Where the parcel goes."""

    to: Place | None = None


class LastResult(Struct, frozen=True):
    """The track."""

    nu: str | None = None
    com: str | None = None
    state: Code = None
    data: tuple[TrackLine, ...] | None = None
    route: Route | None = msgspec.field(name="routeInfo", default=None)


class Param(Struct, frozen=True):
    """What is pushed."""

    status: str | None = None
    last: LastResult | None = msgspec.field(name="lastResult", default=None)


_PARAM = msgspec.json.Decoder(Param)


def is_signed(delivery: Delivery, salt: str) -> bool:
    """UPPER(MD5(param + salt)) over the field as it came."""
    form = fields(delivery.body)
    expected = md5(form.get("param", b"") + salt.encode(), usedforsecurity=False).hexdigest().upper()
    return hmac.compare_digest(expected.encode(), form.get("sign", b"").upper())


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """The steps of one parcel."""
    body = fields(delivery.body).get("param")
    if body is None:
        raise Fault(Rejection("$.param", "missing"))
    param = decode(_PARAM, body, "$.param")
    last = param.last
    if last is None or not last.data:
        return Ignored(f"no track: {param.status if param.status in ('abort', 'polling', 'shutdown') else 'other'}")
    track = [_line(line, number) for number, line in enumerate(last.data)]
    state = str(last.state)
    return Converted(told(origin, _parcel(delivery, last), track, STEPS.get(state), state in TURNED_BACK))


def _parcel(delivery: Delivery, last: LastResult) -> Parcel:
    city = delivery.query.get("city") or None
    if city is None and last.route and last.route.to and last.route.to.name:
        city = city_of(last.route.to.name) or None
    order_id, customer_id = delivery.query.get("order"), delivery.query.get("customer")
    return owner(last.nu, order_id, customer_id, city, last.com, "$.query.order")


def _line(line: TrackLine, number: int) -> Line:
    code = "" if line.code is None else str(line.code)
    step = STEPS.get(code) if code else WORDS.get(line.status or "")
    at = beijing(line.time, f"$.param.lastResult.data[{number}].time")
    return Line(at, line.context or "", step, line.area or "", code in WAITS, code in TURNED_BACK)


def answer(_delivery: Delivery, _now: datetime) -> Answer:
    """The words they wait for."""
    return Answer('{"result":true,"returnCode":"200","message":"成功"}'.encode())


CONNECTOR = Connector("kuaidi100", "us", Options, (), is_signed, convert, answer=answer)
