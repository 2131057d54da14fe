"""Money: integer minor units plus an ISO 4217 currency, never a float."""

from typing import Annotated

from msgspec import Meta, Struct

MAX_AMOUNT_MINOR = 10**13  # 100 billion in major units: larger is a sender's mistake (one cart held 1e16)

USUAL_DIGITS = 2
# ISO 4217 (list one): the currencies whose minor unit is not a hundredth.
WHOLE = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
DIGITS = dict.fromkeys(WHOLE, 0) | dict.fromkeys(THOUSANDTHS, 3)

AmountMinor = Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="Minor units (cents, fen, centavos).")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code, such as CNY.")]


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units of its currency: 12.50 CNY is `Money(1250, "CNY")`."""

    amount_minor: AmountMinor
    currency: Currency


def minor_digits(currency: str) -> int:
    """How many digits the minor unit has: 2 for CNY, 0 for JPY. For words to people; counting needs it nowhere."""
    return DIGITS.get(currency, USUAL_DIGITS)
