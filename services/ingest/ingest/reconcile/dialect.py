"""What a platform's REST API is asked, and how its answers are read: pure, one dialect per platform.

A poll asks for what changed since a time, page by page, oldest change first. Every object is handed on as the webhook
that should have brought it, byte for byte, so that it comes down the same road under the same ids.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from ingest.connectors.port import UNREADABLE, Delivery
from ingest.connectors.values import moment

MAX_PAUSE_S = 30.0  # that a platform may ask for between two pages; for longer the poll ends, and goes on later


class Ask(Struct, frozen=True):
    """One page of what changed since a time. `link`: the next page as the platform itself named it."""

    resource: str
    since: datetime
    page: int = 1
    link: str | None = None


class Found(Struct, frozen=True):
    """An object of a page, as the webhook that tells of it; `key` is the same as long as it has not changed."""

    delivery: Delivery
    key: tuple[str, str]
    changed_at: datetime | None


class Answer(Struct, frozen=True):
    """A page as it came; headers' names in lower case."""

    body: bytes
    headers: Mapping[str, str]


class Page(Struct, frozen=True):
    """What a page holds, and what to ask next."""

    found: tuple[Found, ...]
    next: Ask | None


class Unreadable(Exception):
    """The answer is not one that this dialect knows. Says what was expected, and nothing of what came."""


class Exchange(Struct, frozen=True):
    """How a credential is made a token that is good for a while: a form for a path below the shop's address."""

    path: str
    form: Mapping[str, str]
    read: Callable[[Answer], str]


class Dialect(Struct, frozen=True):
    """One platform's REST API. `key_form` is what a credential looks like, `key_words` says it to whoever has to give
    one; `exchange` says how it becomes a token, where it does, and `headers` what the token is sent as."""

    resources: tuple[str, ...]
    key_form: str
    key_words: str
    headers: Callable[[str], Mapping[str, str]]
    url: Callable[[str, Ask], str]
    read: Callable[[Ask, Answer], Page]
    pause_s: Callable[[Mapping[str, str]], float] = lambda _headers: 0.0
    exchange: Callable[[str], Exchange | None] = lambda _key: None


class Dates(Struct, frozen=True):
    """What is looked at of an object before it is handed on."""

    id: int | str
    updated_at: str | None = None
    date_modified_gmt: str | None = None
    created_at: str | None = None


_DATES = msgspec.json.Decoder(Dates)


def found(raw: Raw, headers: Callable[[Dates], Mapping[str, str]]) -> Found:
    """An object as the webhook with these headers."""
    try:
        dates = _DATES.decode(raw)
    except UNREADABLE:
        raise Unreadable("expected objects with an id") from None
    changed = dates.updated_at or dates.date_modified_gmt or ""
    return Found(Delivery(bytes(raw), headers(dates)), (str(dates.id), changed), moment(changed))
