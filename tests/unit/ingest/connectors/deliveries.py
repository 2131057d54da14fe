"""What tests of connectors send, and how they read what came out of it."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored, Origin, Outcome

KUAIDI100, KDNIAO, AFTERSHIP, WOOCOMMERCE = (
    CONNECTORS[kind] for kind in ("kuaidi100", "kdniao", "aftership", "woocommerce")
)


def origin(kind: str, source_id: str = "src_1", **options: Any) -> Origin[Any]:
    """A source of the kind."""
    return Origin(source_id, CONNECTORS[kind].options(**options), lambda text: f"p{len(text)}")


def form(**fields: str) -> bytes:
    """A form body."""
    return urlencode(fields).encode()


def read(kind: str, delivery: Delivery, **options: Any) -> Outcome:
    """What the connector makes of it."""
    return CONNECTORS[kind].read(delivery, origin(kind, **options))


def events(outcome: Outcome) -> list[dict[str, Any]]:
    """The events, of a delivery that was converted wholly."""
    assert isinstance(outcome, Converted), outcome
    assert not outcome.rejections
    return [json.loads(event) for event in outcome.events]


def steps(outcome: Outcome) -> list[tuple[str, str]]:
    """Of parcels' events what happened and when."""
    return [(event["type"].removeprefix("shipment."), event["time"]) for event in events(outcome)]


def ignored(outcome: Outcome) -> bool:
    """Whether nothing was there to tell."""
    return isinstance(outcome, Ignored)


def kuaidi100(
    lines: Sequence[dict[str, Any]], state: str = "0", query: dict[str, str] | None = None, **last: Any
) -> Delivery:
    """A push of Kuaidi100, unsigned; lines newest first, as it sends them."""
    param = {
        "status": "polling",
        "lastResult": {"nu": "SF100", "com": "shunfeng", "state": state, "data": lines} | last,
    }
    asked = {"order": "o1", "customer": "c1"} if query is None else query
    return Delivery(form(param=json.dumps(param, ensure_ascii=False)), {}, asked)


def kdniao(*parcels: dict[str, Any], **fields: str) -> Delivery:
    """A push of Kdniao, unsigned."""
    data = {"EBusinessID": "1237100", "Count": str(len(parcels)), "Data": parcels}
    return Delivery(form(**({"RequestType": "101", "RequestData": json.dumps(data, ensure_ascii=False)} | fields)))
