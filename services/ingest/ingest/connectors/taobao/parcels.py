"""A line of a parcel's track as TMC tells it, one message each; it names no seller, only the order."""

from datetime import datetime

from msgspec import Struct

from common.contracts.envelope import Data
from ingest.connectors.chinese import Key, beijing_if_any, key
from ingest.connectors.parcels import Parcel, Step, is_in, said_of
from ingest.connectors.port import Ignored
from ingest.connectors.reading import required
from ingest.connectors.values import label

TRACE = "taobao_logistics_LogsticDetailTrace"  # the spelling is Taobao's
STEPS: dict[str, Step] = {
    "CONSIGN": "dispatched",
    "SENT_CITY": "arrived_in_city",
    "SENT_SCAN": "out_for_delivery",
    "TMS_DELIVERING": "out_for_delivery",
    "SIGNED": "delivered",
}
SIGNED = "_SIGN"  # TMS_SIGN, STA_SIGN and others like them
# At some station: the receiver's city only where the line names it.
AT_A_STATION = ("ARRIVAL", "TMS_STATION_IN")


class Trace(Struct, frozen=True):
    """One line."""

    tid: Key = None
    action: str | None = None
    desc: str | None = None
    time: str | None = None
    out_sid: Key = None
    company_name: str | None = None
    city: str | None = None


def of_trace(said: Trace, city: str | None, where: str) -> tuple[tuple[str, ...], datetime | None, Data] | Ignored:
    """The step that the line shows, if it shows one of ours. Raises Fault."""
    tid = required(key(said.tid), f"{where}.tid")
    number, city = key(said.out_sid) or "", label(city or said.city)
    step = _step(said, city)
    if step is None:
        return Ignored("a line of a track that is none of the four steps")
    parcel = Parcel(number, tid, "", city, label(said.company_name))
    at = beijing_if_any(said.time, f"{where}.time")
    return ("parcel", tid, number, step), at, said_of(step, parcel)


def _step(said: Trace, city: str | None) -> Step | None:
    action = said.action or ""
    if action in AT_A_STATION:
        return "arrived_in_city" if city and is_in(said.desc or "", city) else None
    return "delivered" if action.endswith(SIGNED) else STEPS.get(action)
