"""Money as people write it: minor units to `¥12.50`. Pure integer arithmetic."""

SYMBOLS = {"CNY": "¥", "BRL": "R$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "HKD": "HK$", "TWD": "NT$"}
# ISO 4217 currencies whose minor unit is not a hundredth.
DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3}
USUAL_DIGITS = 2


def write_money(amount_minor: int, currency: str) -> str:
    """`write_money(1250, "CNY")` is `¥12.50`; without a known sign the code stands behind: `12.50 CHF`."""
    digits = DIGITS.get(currency, USUAL_DIGITS)
    major, minor = divmod(abs(amount_minor), 10**digits)
    number = f"{major:,}" + (f".{minor:0{digits}}" if digits else "")
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{number}" if currency in SYMBOLS else f"{sign}{number} {currency}"
