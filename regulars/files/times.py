"""Times as files write them: with summer time, of any form, exact to the microsecond."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from regulars.files.unfit import Unfit

SINCE_EPOCH = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?")
UNITS_PER_S = {"epoch_s": 1, "epoch_ms": 1_000}


def time_parser(form: str, zone: str | None) -> Callable[[str], datetime]:
    """What reads texts of the form (iso, epoch_s, epoch_ms, or a pattern), in the zone where they name none, as UTC.
    Raises ValueError where there is no such form or zone; what it gives raises Unfit."""
    if form not in ("iso", *UNITS_PER_S) and "%" not in form:
        raise ValueError("format: is none of iso, epoch_s, epoch_ms, nor a pattern such as %d/%m/%Y %H:%M")
    try:
        here = ZoneInfo(zone) if zone is not None else None
    except (ValueError, KeyError, OSError):
        raise ValueError(f"zone: {zone!r} is not an IANA time zone") from None

    def parse(text: str) -> datetime:
        try:
            time = _time(form, text)
        except (ValueError, OverflowError, OSError):
            raise Unfit("", f"is not a time of the form {form}") from None
        if time.tzinfo is None:
            if here is None:
                raise Unfit("", "has no offset, and the mapping names no zone")
            time = time.replace(tzinfo=here)
        try:
            return time.astimezone(UTC)
        except OverflowError:
            raise Unfit("", "is out of range") from None

    return parse


def _time(form: str, text: str) -> datetime:
    if form == "iso":
        return datetime.fromisoformat(text)
    if form in UNITS_PER_S:
        if SINCE_EPOCH.fullmatch(text) is None:
            raise ValueError
        micros = int(Decimal(text) * (1_000_000 // UNITS_PER_S[form]))
        return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
    return datetime.strptime(text, form)  # noqa: DTZ007 - its zone, where it has none, comes from the mapping
