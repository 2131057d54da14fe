"""A parcel's whole track as four steps: dispatched, arrived in the receiver's city, out for delivery, delivered.

Trackers send the whole track again each time. A step happened when the first line that shows it was written, and its
event's id comes from source, parcel and step alone: so each step is told once, however often the track is.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Data, Rejection
from ingest.connectors.port import NO_CUSTOMER, Fault, Origin, event
from ingest.connectors.values import label

Step = Literal["dispatched", "arrived_in_city", "out_for_delivery", "delivered"]

MUNICIPALITIES = ("北京", "上海", "天津", "重庆")  # cities of a province's rank: their districts stand where cities do
CITY_RANK = re.compile(r"(?P<core>.{2,}?)(?:市|地区|盟|(?:.{1,3}族)*自治州)")
CLAUSES = re.compile("[,;!\uff0c\uff1b\uff01\u3002]")  # the last four are the full-width comma, semicolon, ! and 。
HEADING = re.compile(r"[发前运送转去]往|下一站")  # what is named is where it goes, not where it is
ARRIVED = re.compile(r"(?<!未)(?<!将)(?<!预计)(?<!预计可)(?:到达|抵达|到件|已到(?!付))")
ARRIVED_EN = re.compile(r"\b(?:arrived|arrival)\b", re.IGNORECASE)
ON_ITS_LAST_LEG = re.compile(r"正在?(?:为您)?派[送件]|派送途?中|派件中")
NOT_YET_WITH_THE_CARRIER = re.compile(r"待.{0,8}揽|待取件|已下单|打印.{0,2}面单")


class Parcel(Struct, frozen=True):
    """Whose parcel it is, as the shop said when it registered it: the order's customer, unless it named one. `city` is
    the receiver's."""

    number: str
    order_id: str
    customer_id: str | None
    city: str | None = None
    carrier: str | None = None


class Line(Struct, frozen=True):
    """One line of a track. `step` is what its code says, None where it says nothing of these four."""

    at: datetime
    text: str = ""
    step: Step | None = None
    place: str = ""  # where it was written, as far as the tracker knows: a city, or province, city, district
    waits: bool = False  # not yet with the carrier
    turned_back: bool = False  # on its way to the sender, or there


def owner(
    number: str | None, order_id: str | None, customer_id: str | None, city: str | None, carrier: str | None, where: str
) -> Parcel:
    """The parcel, or a Fault that says what the registration lacked; `where` is the path to the order."""
    if not number or not number.strip():
        raise Fault(Rejection("$", "names no parcel"))
    if not order_id or not order_id.strip():
        raise Fault(Rejection(where, f"{NO_CUSTOMER}, since it names no order: see the registration"))
    return Parcel(number.strip(), order_id.strip(), (customer_id or "").strip() or None, label(city), label(carrier))


def told(
    origin: Origin[Any], parcel: Parcel, track: Sequence[Line], reached: Step | None, returned: bool
) -> tuple[bytes, ...]:
    """The events of a track in any order. `reached` is how far the tracker says the parcel is, as a whole."""
    found = _steps(sorted(track, key=lambda line: line.at), parcel.city, reached, returned)
    return tuple(
        event(origin, ("parcel", parcel.order_id, parcel.number, step), parcel.customer_id, at, said_of(step, parcel))
        for step, at in found.items()
    )


def _steps(
    track: Sequence[Line], city: str | None, reached: Step | None, returned: bool
) -> dict[Step, datetime | None]:
    found: dict[Step, datetime | None] = {}
    forth: list[Line] = []
    for line in track:
        if line.turned_back:
            returned = True
            break
        forth.append(line)
    for line in forth:
        step = line.step or _by_text(line, city)
        if step or not (line.waits or NOT_YET_WITH_THE_CARRIER.search(line.text)):
            found.setdefault("dispatched", line.at)
        if step:
            found.setdefault(step, line.at)
    if reached is not None and not returned:
        at = forth[-1].at if forth else None
        found.setdefault("dispatched", at)
        found.setdefault(reached, at)
    if returned:
        found.pop("delivered", None)  # to the sender
    return found


def _by_text(line: Line, city: str | None) -> Step | None:
    if ON_ITS_LAST_LEG.search(line.text):
        return "out_for_delivery"
    return "arrived_in_city" if city and arrives(line.text, line.place, city) else None


def arrives(text: str, place: str, city: str) -> bool:
    """Whether a line says that the parcel came to the city: it tells of an arrival, and the place is in the city.

    A city that a parcel is on its way to is named in many lines before; those do not count.
    """
    core = city_of(city)
    if not core:
        return False
    if ARRIVED_EN.search(text):
        return core.casefold() in f"{place} {text}".casefold()
    for clause in CLAUSES.split(text):
        arrived = ARRIVED.search(clause)
        if arrived is None or HEADING.search(clause):
            continue
        if core in clause[arrived.end() :] or clause.lstrip().startswith(f"【{core}") or city_of(place) == core:
            return True
    return False


def city_of(name: str) -> str:
    """The city's name without its rank, of a city or of province, city and district: 陕西,西安市,灞桥区 is 西安."""
    parts = [part for part in re.split("[,\uff0c/ ]+", name.strip()) if part]
    if not parts:
        return ""
    if not parts[0].isascii():
        of_a_province = len(parts) > 1 and not parts[0].startswith(MUNICIPALITIES)
        part = parts[1] if of_a_province else parts[0]
        ranked = CITY_RANK.fullmatch(part)
        return ranked["core"] if ranked else part
    return name.strip()


def is_in(text: str, city: str) -> bool:
    """Whether a line of an arrival, known as such, names the city as where it is and not as where it goes."""
    core = city_of(city)
    return bool(core) and any(core in clause and not HEADING.search(clause) for clause in CLAUSES.split(text))


def said_of(step: Step, parcel: Parcel) -> Data:
    """What is told of a step; a parcel without a number is one that nobody has named."""
    number = parcel.number or None
    match step:
        case "dispatched":
            return ingest.ShipmentDispatched(parcel.order_id, number, parcel.carrier)
        case "arrived_in_city":
            return ingest.ShipmentArrivedInCity(parcel.order_id, number, parcel.city)
        case "out_for_delivery":
            return ingest.ShipmentOutForDelivery(parcel.order_id, number)
        case "delivered":
            return ingest.ShipmentDelivered(parcel.order_id, number)
