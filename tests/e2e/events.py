"""Events as a shop's platform would send them, for the tests of the running command."""

from datetime import datetime
from typing import Any


def event(
    number: str, event_type: str, customer: str = "c1", at: datetime | None = None, **data: Any
) -> dict[str, Any]:
    """An event; without a time it happens when it is received."""
    said = {"id": number, "type": event_type, "subject": customer, "data": data}
    return said if at is None else said | {"time": at.isoformat()}


def money(amount_minor: int, currency: str = "CNY") -> dict[str, Any]:
    """An amount."""
    return {"amount_minor": amount_minor, "currency": currency}


def placed(order: str, customer: str = "c1", amount_minor: int = 1_000, **more: Any) -> dict[str, Any]:
    """An order."""
    return event(f"{order}:placed", "order.placed", customer, order_id=order, amount=money(amount_minor)) | more
