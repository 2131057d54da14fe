"""WooCommerce's REST API: orders by the time they were modified, pages by number."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, timedelta
from urllib.parse import urlencode

import msgspec
from msgspec import Raw

from ingest.connectors.port import UNREADABLE
from ingest.connectors.woocommerce import TOPIC
from ingest.reconcile.dialect import Answer, Ask, Dialect, Page, Unreadable, found

PAGE_SIZE = 100
PAGES = "x-wp-totalpages"
WHOLE_SECOND = timedelta(seconds=1)  # times are told no finer, and `modified_after` leaves its own second out

_PAGE = msgspec.json.Decoder(list[Raw])


def headers(key: str) -> Mapping[str, str]:
    """A consumer's key and secret, with a colon between, as Basic authentication."""
    return {"Authorization": f"Basic {b64encode(key.encode()).decode()}"}


def url(shop: str, ask: Ask) -> str:
    """Oldest change first, in UTC whatever the shop's zone is."""
    asked = {
        "modified_after": (ask.since.astimezone(UTC) - WHOLE_SECOND).strftime("%Y-%m-%dT%H:%M:%S"),
        "dates_are_gmt": "true",
        "orderby": "modified",
        "order": "asc",
        "per_page": PAGE_SIZE,
        "page": ask.page,
    }
    return f"{shop}/wp-json/wc/v3/{ask.resource}?{urlencode(asked)}"


def read(ask: Ask, answer: Answer) -> Page:
    """The next page begins at this one's last change. By number alone something would be passed over: what is changed
    while we read moves to the end, and all behind it move up. Numbers serve where a whole page has one time."""
    try:
        listed = _PAGE.decode(answer.body)
    except UNREADABLE:
        raise Unreadable(f"expected a list of {ask.resource}") from None
    page = tuple(found(raw, lambda _dates: {TOPIC: "order.updated"}) for raw in listed)
    total = answer.headers.get(PAGES, "")
    more = ask.page < int(total) if total.isdecimal() else len(listed) == PAGE_SIZE
    if not page or not more:
        return Page(page, None)
    newest = max((each.changed_at for each in page if each.changed_at is not None), default=ask.since)
    after = Ask(ask.resource, newest) if newest > ask.since else Ask(ask.resource, ask.since, ask.page + 1)
    return Page(page, after)


DIALECT = Dialect(
    ("orders",),
    r"[^:]+:[^:]+",
    "expected the consumer's key and secret with a colon between",
    headers,
    url,
    read,
)
