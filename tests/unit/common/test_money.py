"""Money in words: how many digits stand behind the point."""

import pytest

from common.money import minor_digits


@pytest.mark.parametrize(
    ("currency", "digits"), [("CNY", 2), ("BRL", 2), ("JPY", 0), ("PYG", 0), ("ISK", 0), ("XOF", 0), ("KWD", 3)]
)
def test_the_minor_unit_is_a_hundredth_unless_iso_4217_says_else(currency: str, digits: int) -> None:
    assert minor_digits(currency) == digits
