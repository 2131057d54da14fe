"""How an SMS is counted."""

import pytest

from notifier.domain.render import Text, sms_text
from notifier.domain.sms import length_of


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the escape pair does not fit the first part's last septet
        ("中" * 70, "UCS-2", 70, 1),
        ("中" * 71, "UCS-2", 71, 2),
        ("中" * 134, "UCS-2", 134, 2),
        ("中" * 135, "UCS-2", 135, 3),
        ("🎁" * 35, "UCS-2", 70, 1),
        ("🎁" * 36, "UCS-2", 72, 2),
        ("🎁" * 67, "UCS-2", 134, 3),  # 33 whole ones to a part of 67 units
        ("ç", "UCS-2", 1, 1),  # only its capital is in the alphabet
        ("`", "UCS-2", 1, 1),
        ("é@£¥\n", "GSM-7", 5, 1),
    ],
)
def test_length(text: str, encoding: str, units: int, parts: int) -> None:
    assert length_of(text) == (encoding, units, parts)


def test_an_sms_begins_with_the_signature_and_is_one_line() -> None:
    assert sms_text(Text("ignored", "您好\n\n  再见 "), "小店") == "【小店】您好 再见"
