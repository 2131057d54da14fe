"""Shopify's REST Admin API: orders and customers by `updated_at`, pages by the link in the header, a leaky bucket."""

import re
from collections.abc import Mapping
from datetime import UTC
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct

from ingest.connectors.port import UNREADABLE
from ingest.connectors.values import moment
from ingest.reconcile.dialect import Answer, Ask, Dates, Dialect, Exchange, Page, Unreadable, found

API_VERSION = "2026-07"  # Shopify answers one that is no longer kept as the oldest that is
PAGE_SIZE = 250
BUCKET = "x-shopify-shop-api-call-limit"
LEAK_PER_S = 2.0
FULL_AT = 0.8  # of the bucket: the rest is left to the shop's other apps
NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')
TOPIC = "x-shopify-topic"


class Token(Struct, frozen=True):
    """What a credential is good for."""

    access_token: str


_TOKEN = msgspec.json.Decoder(Token)
_PAGE = msgspec.json.Decoder(dict[str, list[Raw]])


def headers(key: str) -> Mapping[str, str]:
    """The Admin API's access token."""
    return {"X-Shopify-Access-Token": key}


def exchange(key: str) -> Exchange | None:
    """The client id and secret of an app become a token for a day. Apps that were made in the shop's admin, before that
    was given up, have a token of their own for good."""
    client_id, colon, client_secret = key.partition(":")
    if not colon:
        return None
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    return Exchange("/admin/oauth/access_token", form, _token)


def _token(answer: Answer) -> str:
    try:
        return _TOKEN.decode(answer.body).access_token
    except UNREADABLE:
        raise Unreadable("expected an access token") from None


def url(shop: str, ask: Ask) -> str:
    """The first page by time; the others as Shopify names them, since they take no other parameter."""
    if ask.link is not None:
        return ask.link
    asked = {"updated_at_min": ask.since.astimezone(UTC).isoformat(), "order": "updated_at asc", "limit": PAGE_SIZE}
    asked |= {"status": "any"} if ask.resource == "orders" else {}
    return f"{shop}/admin/api/{API_VERSION}/{ask.resource}.json?{urlencode(asked)}"


def read(ask: Ask, answer: Answer) -> Page:
    """A customer who was made since is told as new, one who was only changed as changed."""
    try:
        listed = _PAGE.decode(answer.body)[ask.resource]
    except (*UNREADABLE, KeyError):
        raise Unreadable(f"expected a list of {ask.resource}") from None

    def as_webhook(dates: Dates) -> Mapping[str, str]:
        if ask.resource == "orders":
            return {TOPIC: "orders/updated"}
        created_at = moment(dates.created_at)
        return {TOPIC: "customers/create" if created_at and created_at >= ask.since else "customers/update"}

    following = NEXT.search(answer.headers.get("link", ""))
    after = Ask(ask.resource, ask.since, ask.page + 1, following[1]) if following else None
    return Page(tuple(found(raw, as_webhook) for raw in listed), after)


def pause_s(headers: Mapping[str, str]) -> float:
    """Until the bucket has leaked enough: `32/40` says how full it is."""
    used, _, size = headers.get(BUCKET, "").partition("/")
    if not (used.isdecimal() and size.isdecimal()):
        return 0.0
    return max(0.0, (int(used) - FULL_AT * int(size)) / LEAK_PER_S)


DIALECT = Dialect(
    ("orders", "customers"),
    r"[^:]+(:[^:]+)?",
    "expected an app's client id and secret with a colon between, or its access token",
    headers,
    url,
    read,
    pause_s,
    exchange,
)
