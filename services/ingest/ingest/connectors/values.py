"""Values as platforms write them, turned into ours: amounts, quantities, ids, labels and times. None: not readable."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from common.contracts.ingest import MAX_QUANTITY
from common.money import MAX_AMOUNT_MINOR, minor_digits

MAX_LABEL_CHARS = 200
MAX_WHOLE_ID = 10**18  # an id written as a number: larger ones have lost digits on their way
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")  # no separators of thousands: 1,234 is two numbers in this world
CONTROL = re.compile(r"[\x00-\x1f]+")
UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]+")
# ISO 8601 as it is really written: a day without its zero, a blank for the T, no offset (UTC is meant).
TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)? ?(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?)?"
)


def number(value: Any) -> Decimal | None:
    """A number, or a text that is one, digit for digit; truth values are none."""
    match value:
        case bool():
            return None
        case int():
            return Decimal(value)
        case Decimal():
            return value if value.is_finite() else None
        case str() if NUMBER.fullmatch(value.strip()):
            return Decimal(value.strip())
        case _:
            return None


def minor_units(value: Any, currency: str, *, exact: bool = False) -> int | None:
    """An amount in major units, such as 12.5 or "12.50", in minor ones. Reckoned in decimal digits, never in floats;
    digits beyond the minor unit (0.30000000000000004 out of a browser's sum) are rounded, half up: or, where it has to
    be `exact`, make it no amount."""
    amount = number(value)
    if amount is None or not 0 <= amount <= MAX_AMOUNT_MINOR:
        return None
    scaled = amount.scaleb(minor_digits(currency))
    minor = int(scaled.quantize(Decimal(1), ROUND_HALF_UP))
    return minor if minor <= MAX_AMOUNT_MINOR and not (exact and minor != scaled) else None


def quantity(value: Any) -> int:
    """How many pieces; 1 where it is missing or cannot be true (1e16 has been seen), since that something was added is
    true."""
    said = number(value)
    sound = said is not None and 1 <= said <= MAX_QUANTITY and said == int(said)
    return int(said) if said is not None and sound else 1


def identifier(value: Any) -> str | None:
    """An id that was written as a text or as a whole number. What an id may look like is checked where it is taken."""
    match value:
        case str():
            return value.strip() or None
        case int() | Decimal() if (whole := number(value)) is not None:
            return str(int(whole)) if abs(whole) < MAX_WHOLE_ID and whole == int(whole) else None
        case _:
            return None


def label(*parts: str | None) -> str | None:
    """Words that only describe, joined and made fit: an order is not refused for a strange name in it."""
    joined = " ".join(part.strip() for part in parts if part and part.strip())
    return CONTROL.sub(" ", joined)[:MAX_LABEL_CHARS].strip() or None


def any_label(value: Any) -> str | None:
    """The same of whatever was sent in its place: a number is one too, and blanks of all kinds are one blank."""
    return label(UNPRINTABLE.sub(" ", value) if isinstance(value, str) else identifier(value))


def moment(value: Any) -> datetime | None:
    """An ISO 8601 time, in UTC."""
    if not isinstance(value, str) or (parts := TIME.fullmatch(value.strip())) is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_h, offset_min = parts.groups(default="0")
    try:
        offset = timedelta(hours=int(offset_h), minutes=int(offset_min)) * (-1 if sign == "-" else 1)
        microsecond = int(fraction[:6].ljust(6, "0"))
        date, clock = (int(year), int(month), int(day)), (int(hour), int(minute), int(second), microsecond)
        return datetime(*date, *clock, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of February, an offset of a day, the year 0
        return None
