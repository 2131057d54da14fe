"""AfterShip: `tracking_update` with the parcel's checkpoints. It has no tag for the arrival in a city, so that comes
from a checkpoint that tells of an arrival and names the receiver's city."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from common.contracts.envelope import Rejection
from ingest.connectors.parcels import Line, Parcel, Step, owner, told
from ingest.connectors.port import Connector, Converted, Delivery, Fault, Ignored, Origin, decode

SIGNATURE = "aftership-hmac-sha256"
STEPS: dict[str, Step] = {"OutForDelivery": "out_for_delivery", "Delivered": "delivered"}
UNDER_WAY = ("InTransit", "AttemptFail", "AvailableForPickup")
WAITS = ("Pending", "InfoReceived", "Expired")
RETURNED = ("Exception_010", "Exception_011")  # subtags: returning to the sender, returned


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`zone`: in which the checkpoints that say no zone are read (IANA name)."""

    zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ValueError, KeyError, OSError):
            raise ValueError("expected an IANA time zone, such as Europe/Berlin") from None


class Checkpoint(Struct, frozen=True):
    """One line of the track."""

    at: str | None = msgspec.field(name="checkpoint_time", default=None)
    message: str | None = None
    tag: str | None = None
    subtag: str | None = None
    city: str | None = None
    location: str | None = None


class Tracking(Struct, frozen=True):
    """The parcel. What the shop gave when it made the tracking comes back in `custom_fields`."""

    number: str | None = msgspec.field(name="tracking_number", default=None)
    carrier: str | None = msgspec.field(name="slug", default=None)
    tag: str | None = None
    subtag: str | None = None
    order_id: str | None = None
    order_number: str | None = None
    city: str | None = msgspec.field(name="destination_city", default=None)
    custom: Mapping[str, str | int | None] | None = msgspec.field(name="custom_fields", default=None)
    checkpoints: tuple[Checkpoint, ...] | None = None


class Push(Struct, frozen=True):
    """The body. What `msg` is depends on `event`."""

    event: str
    msg: msgspec.Raw = msgspec.Raw(b"{}")


_PUSH = msgspec.json.Decoder(Push)
_TRACKING = msgspec.json.Decoder(Tracking)


def is_signed(delivery: Delivery, secret: str) -> bool:
    """base64(HMAC-SHA256(secret, body))."""
    expected = b64encode(hmac.digest(secret.encode(), delivery.body, sha256))
    return hmac.compare_digest(expected, delivery.headers.get(SIGNATURE, "").encode())


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """The steps of one parcel."""
    push = decode(_PUSH, delivery.body)
    if push.event != "tracking_update":
        return Ignored("no tracking_update")
    tracking = decode(_TRACKING, bytes(push.msg), "$.msg")
    zone = ZoneInfo(origin.options.zone)
    track = [
        _line(checkpoint, at, zone, f"$.msg.checkpoints[{number}].checkpoint_time")
        for number, checkpoint in enumerate(tracking.checkpoints or ())
        if (at := checkpoint.at)
    ]
    reached = STEPS.get(tracking.tag or "") or ("dispatched" if tracking.tag in UNDER_WAY else None)
    if not track and reached is None:
        return Ignored("nothing has happened to it yet")
    return Converted(told(origin, _parcel(tracking), track, reached, tracking.subtag in RETURNED))


def _parcel(tracking: Tracking) -> Parcel:
    custom = {name: str(value) for name, value in (tracking.custom or {}).items() if value not in (None, "")}
    order_id = custom.get("order_id") or tracking.order_id or tracking.order_number
    city = custom.get("city") or tracking.city
    where = "$.msg.custom_fields.order_id"
    return owner(tracking.number, order_id, custom.get("customer_id"), city, tracking.carrier, where)


def _line(checkpoint: Checkpoint, at: str, zone: ZoneInfo, path: str) -> Line:
    try:
        moment = datetime.fromisoformat(at)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Fault(Rejection(path, "expected a time as 2026-01-31T09:05:00")) from None
    return Line(
        moment,
        checkpoint.message or "",
        STEPS.get(checkpoint.tag or ""),
        f"{checkpoint.city or ''} {checkpoint.location or ''}",
        checkpoint.tag in WAITS,
        checkpoint.subtag in RETURNED,
    )


CONNECTOR = Connector("aftership", "platform", Options, (SIGNATURE,), is_signed, convert)
