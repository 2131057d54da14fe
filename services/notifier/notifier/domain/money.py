"""Money as people write it: minor units to `¥12.50`. Pure integer arithmetic."""

from common.money import minor_digits

SYMBOLS = {"CNY": "¥", "BRL": "R$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "HKD": "HK$", "TWD": "NT$"}


def write_money(amount_minor: int, currency: str) -> str:
    """`write_money(1250, "CNY")` is `¥12.50`; without a known sign the code stands behind: `12.50 CHF`."""
    digits = minor_digits(currency)
    major, minor = divmod(abs(amount_minor), 10**digits)
    number = f"{major:,}" + (f".{minor:0{digits}}" if digits else "")
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{number}" if currency in SYMBOLS else f"{sign}{number} {currency}"
