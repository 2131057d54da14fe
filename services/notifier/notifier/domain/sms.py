"""How long an SMS is and how many parts it is billed as.

Source: 3GPP TS 23.038 (the GSM 7 bit alphabet and its extension table) and TS 23.040 (concatenation: 7 of 160 septets,
3 of 70 UCS-2 units go to the header of each part).
"""

from typing import Literal, NamedTuple

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")  # an escape and a septet each
GSM_7_SINGLE, GSM_7_PART = 160, 153  # septets
UCS_2_SINGLE, UCS_2_PART = 70, 67  # 16 bit units
UCS_2_MAX = "\uffff"  # above it a character is a surrogate pair, two units


class Length(NamedTuple):
    """`units` are septets or 16 bit units; no character is cut in two, so parts may have room left."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    parts: int


def length_of(text: str) -> Length:
    """The length of the text in the smallest encoding that holds it; an empty text is one part."""
    if GSM_7_EXTENSION.union(GSM_7).issuperset(text):
        sizes = [2 if character in GSM_7_EXTENSION else 1 for character in text]
        return Length("GSM-7", sum(sizes), _parts(sizes, GSM_7_SINGLE, GSM_7_PART))
    sizes = [2 if character > UCS_2_MAX else 1 for character in text]
    return Length("UCS-2", sum(sizes), _parts(sizes, UCS_2_SINGLE, UCS_2_PART))


def _parts(sizes: list[int], single: int, part: int) -> int:
    if sum(sizes) <= single:
        return 1
    parts, used = 1, 0
    for size in sizes:
        if used + size > part:
            parts, used = parts + 1, 0
        used += size
    return parts
