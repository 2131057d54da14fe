"""Pages of long lists: an opaque cursor says after which key the next page begins, however rows come and go."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel, BeforeValidator, Field

from common.ids import MAX_ID_CHARS
from common.web.problems import Problem

DEFAULT_LIMIT = 50
# In a route: `limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None`.
Limit = Annotated[int, Query(ge=1, le=500, description="Items on a page at most.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next` of the page before.")]
# A slash that was sent as %2F belongs to an id, however the path goes on: `/v1/customers/a%2Fjourneys` asks for the
# customer `a/journeys`. The app's front puts this in its place until the routes are told apart; no text holds it.
SLASH_WITHIN = "\udc2f"
SlashesWithin = BeforeValidator(lambda text: text.replace(SLASH_WITHIN, "/") if isinstance(text, str) else text)
# In a path or a body: what a database takes as text. NUL it does not.
PlainId = Annotated[str, SlashesWithin, Field(min_length=1, max_length=MAX_ID_CHARS, pattern=r"^[^\x00-\x1f]+$")]
# In a cursor, whoever wrote it: what the database can compare its columns with.
RowId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page; `next` is the cursor of the one after it, or null."""

    items: list[T]
    next: str | None = None

    @classmethod
    def of(cls, rows: Sequence[T], limit: int, key: Callable[[T], Sequence[object]]) -> Self:
        """The page from up to `limit + 1` rows: the one too many only says that there is a next page."""
        more = len(rows) > limit
        return cls(items=list(rows[:limit]), next=encode_cursor(key(rows[limit - 1])) if more else None)


def encode_cursor(key: Sequence[object]) -> str:
    """The sort key of a page's last item as an opaque cursor."""
    return urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_cursor(cursor: str | None, *types: Any) -> tuple[Any, ...] | None:
    """The sort key, its parts of the given types: `decode_cursor(cursor, Moment, Text)`; None without a cursor."""
    if cursor is None:
        return None
    shape: Any = tuple.__class_getitem__(types or (Any, ...))
    try:
        key: tuple[Any, ...] = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=shape)
        return tuple(_in_utc(part) for part in key)
    except (ValueError, OverflowError, msgspec.MsgspecError):
        raise Problem(400, "Bad cursor", "This is no cursor of this list; leave it out to begin.", "$.cursor") from None


def _in_utc(part: Any) -> Any:
    """A time of another zone as one that the database takes, alone or in a tuple."""
    if isinstance(part, tuple):
        return tuple(_in_utc(each) for each in part)
    return part.astimezone(UTC) if isinstance(part, datetime) else part
