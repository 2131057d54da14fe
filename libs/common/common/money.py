"""Money: integer minor units plus an ISO 4217 currency, never a float."""

from typing import Annotated

from msgspec import Meta, Struct

MAX_AMOUNT_MINOR = 10**13  # 100 billion in major units: larger is a sender's mistake (one cart held 1e16)

AmountMinor = Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="Minor units (cents, fen, centavos).")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code, such as CNY.")]


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units of its currency: 12.50 CNY is `Money(1250, "CNY")`."""

    amount_minor: AmountMinor
    currency: Currency
