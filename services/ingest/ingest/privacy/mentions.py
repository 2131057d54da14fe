"""Whether something kept whole speaks of a person: a refused event, a delivery that nobody could be found for.

What is kept comes in every form that senders have: JSON, forms, JSON in base64 in JSON, cut off in the middle. So all
texts in it are unpacked as far as they can be, and each is compared as its kind is: digits with digits, words with
words.
"""

import json
import re
import unicodedata
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from ingest.vault import part_of

DEPTH_MAX = 6  # of things packed into one another
PHONE_DIGITS_MIN = 7  # fewer are found in anything
NATIONAL_DIGITS = 11  # of a number without its country's code, at most; as long as they are, they are one person's
LINE_CHARS_MIN = 10  # of a line in a text: so long, it is found alone
WORD_CHARS_MIN = 4  # a name of one shorter word in Latin letters is found in too much
PACKED = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
FORM = re.compile(r"[\w.\[\]%+-]+=[^\s{}]*(&[\w.\[\]%+-]+=[^\s{}]*)*")
WIDE = re.compile(r"[\u2e80-\U0003ffff]")
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
APART = re.compile(r"[\s\-.()/]")
SPACES = re.compile(r"\s+")
OTHERWISE = "gb18030"  # what is no UTF-8 is most often Chinese


class Traits(Struct, frozen=True):
    """What a person is found by. `texts` are found whole, in any words around them; `names` word by word."""

    phones: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()


def traits(values: Iterable[tuple[str, str]]) -> Traits:
    """Of `(kind, value)` pairs, as the vault names its fields and events their identities; other kinds say nothing."""
    told: dict[str, set[str]] = {"phone": set(), "email": set(), "name": set(), "text": set()}
    for kind, value in values:
        plain = _plain(value)
        match part_of(kind).field:
            case "phone" if len(digits := _digits(plain)) >= PHONE_DIGITS_MIN:
                told["phone"].add(digits[-NATIONAL_DIGITS:])
            case "email" if "@" in plain:
                told["email"].add(plain.strip())
            case "name" if _is_telling(plain):
                told["name"].add(plain.strip())
            case "address" | "review_text" | "consent_proof" if _is_telling(plain):
                lines = [line for line in plain.splitlines() if len(line.strip()) >= LINE_CHARS_MIN]
                told["text"].update(SPACES.sub(" ", text).strip() for text in (plain, *lines))
            case _:
                pass
    return Traits(*(frozenset(told[kind]) for kind in ("phone", "email", "name", "text")))


def mentions(body: bytes, of: Traits) -> bool:
    """Whether the bytes speak of the person."""
    texts = [_plain(text) for text in _texts_of(body, DEPTH_MAX)]
    whole = "\n".join(texts)
    digits = [APART.sub("", text) for text in texts]
    flat = SPACES.sub(" ", whole)
    return (
        any(phone in text for phone in of.phones for text in digits)
        or any(email in whole for email in of.emails)
        or any(text in flat for text in of.texts)
        or any(_is_named(name, whole) for name in of.names)
    )


def _is_named(name: str, whole: str) -> bool:
    """Whether all words of the name are there: a platform may give them one by one, and in its own order."""
    return all(
        word in whole if WIDE.search(word) else re.search(rf"(?<!\w){re.escape(word)}(?!\w)", whole)
        for word in name.split()
    )


def _is_telling(text: str) -> bool:
    words = text.split()
    return bool(WIDE.search(text) and len(text) > 1) or len(words) > 1 or any(len(w) >= WORD_CHARS_MIN for w in words)


def _plain(text: str) -> str:
    """In one script's digits and letters, without case."""
    return unicodedata.normalize("NFKC", text).casefold()


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _texts_of(body: bytes, depth: int) -> Iterator[str]:
    """Every text in the bytes, and the bytes themselves as one."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode(OTHERWISE, "replace")
        yield body.decode("utf-8", "replace")
    yield text
    yield from _inside(text, depth)


def _inside(text: str, depth: int) -> Iterator[str]:
    """What is packed into a text: its JSON, its form's values, its base64, its escapes."""
    if depth == 0:
        return
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            value = None  # cut off, or nested beyond reason: its plain text and its escapes are looked at
        for inner in _leaves(value):
            yield inner
            yield from _inside(inner, depth - 1)
    if "=" in stripped and FORM.fullmatch(stripped):
        for _, inner in parse_qsl(stripped):
            yield inner
            yield from _inside(inner, depth - 1)
    if "\\u" in text:
        yield ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    for packed in PACKED.findall(text):
        try:
            plain = b64decode(packed + "=" * (-len(packed) % 4))
        except NotBase64:
            continue  # letters and digits that happen to stand in a row
        yield from _texts_of(plain, depth - 1)


def _leaves(value: Any) -> Iterator[str]:
    """All texts and numbers in a decoded JSON value, its names among them."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case bool() | None:
                pass
            case int() | float() as number:
                yield str(number)
            case dict() as fields:
                yield from fields
                waiting.extend(fields.values())
            case list() as items:
                waiting.extend(items)
            case _:
                raise AssertionError("JSON holds nothing else")
