"""How platforms of China write: Beijing's time without saying so, yuan here and fen there, ids as numbers or texts."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from common.contracts.envelope import Rejection
from common.money import MAX_AMOUNT_MINOR, Money
from ingest.connectors.port import Fault
from ingest.connectors.values import minor_units, number

BEIJING = timezone(timedelta(hours=8))
WRITTEN = "%Y-%m-%d %H:%M:%S"
CURRENCY = "CNY"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = int | str | None  # an id: above 2^53 more often than not, so never a float
Amount = int | float | str | None


def beijing(text: str, path: str) -> datetime:
    """A time such as 2026-01-31 09:05:00. Raises Fault."""
    try:
        return datetime.strptime(text.strip(), WRITTEN).replace(tzinfo=BEIJING)
    except ValueError:
        raise Fault(Rejection(path, "expected a time as 2026-01-31 09:05:00")) from None


def beijing_if_any(text: str | None, path: str) -> datetime | None:
    """The same where it may be missing or empty. Raises Fault."""
    return beijing(text, path) if text and text.strip() else None


def since_epoch(value: Key, unit: timedelta, path: str) -> datetime | None:
    """A time counted in seconds or milliseconds; none where it is missing or 0. Raises Fault."""
    count = number(value)
    if value in (None, "", 0, "0"):
        return None
    try:
        if count is None:
            raise ValueError
        return EPOCH + int(count) * unit
    except (ValueError, OverflowError):
        raise Fault(Rejection(path, "expected a time as a number since 1970")) from None


def key(value: Key) -> str | None:
    """An id as text; 0 and nothing at all are what platforms write where there is none."""
    text = str(value).strip() if value is not None else ""
    return None if text in ("", "0", "null") else text


def yuan(value: Amount, path: str) -> Money:
    """An amount in yuan. Raises Fault."""
    minor = minor_units(Decimal(repr(value)) if isinstance(value, float) else value, CURRENCY)
    if minor is None:
        raise Fault(Rejection(path, "missing" if value is None else "expected an amount of yuan such as 12.50"))
    return Money(minor, CURRENCY)


def fen(value: Amount, path: str) -> Money:
    """An amount in fen. Raises Fault."""
    count = number(value)
    if count is None or not 0 <= count <= MAX_AMOUNT_MINOR or count != int(count):
        raise Fault(Rejection(path, "missing" if value is None else "expected an amount of fen such as 1250"))
    return Money(int(count), CURRENCY)
