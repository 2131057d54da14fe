"""What is wrong with what a sender sent, in words for the sender that repeat nothing of it.

A refused event is kept sealed, since nobody knows what is in it; where and why it was refused is kept in the clear,
listed and logged. So a reason names what was expected, never what came, and a path names fields, never a value.
"""

import re
from collections.abc import Iterator
from typing import Any

from common.contracts.envelope import Rejection

# msgspec's sentences: "Expected `int`, got `str` - at `$.data.items[0].quantity`".
SENTENCE = re.compile(
    r"(?P<reason>.*?)(?: - at (?:`key` in )?`(?P<path>\$(?:\.[A-Za-z_]+|\[(?:\d+|\.{3})\])*)`)?", re.DOTALL
)
# What msgspec names of what it was given: a field's name. Only one that looks like a name is repeated.
FIELD = re.compile(r"Object (?P<fault>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
FIELD_NAME = re.compile(r"[A-Za-z_]{1,40}[0-9]{0,2}")
# Sentences without a value in them; any other is not passed on.
HARMLESS = ("Expected ", "JSON is malformed", "Input data was truncated", "Number out of range", "Invalid RFC3339")
# What a text that does not match its pattern should have looked like, by the last name of its path; else it is an id.
FORMS = {
    "specversion": "expected 1.0",
    "datacontenttype": "expected application/json",
    "attributes": "the name of an attribute has 1 to 40 characters, neither spaces nor dots",
    "currency": "expected an ISO 4217 code, such as CNY",
}
ID_FORM = "spaces and control characters are not allowed"
CONTROL = re.compile(r"[\x00-\x1f]")
CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def refusal(error: Exception, under: str = "$") -> Rejection:
    """What decoding complained of; `under` is the path of what was decoded."""
    if isinstance(error, RecursionError):
        return Rejection(under, "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Rejection(under, "not UTF-8")
    sentence = SENTENCE.fullmatch(str(error))
    assert sentence is not None, "the pattern takes any text"
    reason, path = sentence["reason"], under + (sentence["path"] or "$")[1:]
    if field := FIELD.fullmatch(reason):
        named = f"{path}.{field['name']}" if FIELD_NAME.fullmatch(field["name"]) else path
        return Rejection(named, "unknown field" if field["fault"] == "contains unknown" else "missing")
    if reason.startswith("Invalid enum value"):
        return Rejection(path, "none of the values that are allowed here")
    if "matching regex" in reason:
        return Rejection(path, FORMS.get(path.rpartition(".")[2], ID_FORM))
    if reason.startswith("JSON is malformed: trailing characters"):
        return Rejection(path, f"{reason}; events on lines of their own are sent as application/x-ndjson")
    if path.endswith(".amount_minor") and "got `float`" in reason:
        return Rejection(path, "expected an integer of minor units (cents, fen), got `float`")
    return Rejection(path, reason if reason.startswith(HARMLESS) else "invalid")


def control_character(value: Any, path: str, lines_at: tuple[str, ...] = ()) -> Rejection | None:
    """Whether any text in the value, made of plain objects and arrays, holds one; line breaks are none at `lines_at`.

    No store takes a NUL in a text, and others have no place in what may become the subject of an e-mail.
    """
    for where, text in _texts(value, path):
        if (CONTROL_BUT_LINES if where in lines_at else CONTROL).search(text):
            return Rejection(where, "control characters are not allowed")
    return None


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, f"{path}.{name}" if FIELD_NAME.fullmatch(name) else f"{path}[...]")
        case list() | tuple():
            for number, inner in enumerate(value):
                yield from _texts(inner, f"{path}[{number}]")
        case _:
            pass
