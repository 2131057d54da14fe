"""Paging: cursors that come back as they went, pages that end, cursors that are none."""

from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends
from hypothesis import given
from hypothesis import strategies as st

from common.web.app import create_app
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Moment, Page, RowId, Text, decode_cursor, encode_cursor
from common.web.problems import Problem

NUMBERS = range(1, 8)


def after(cursor: Cursor = None) -> int:
    key = decode_cursor(cursor, int)
    return key[0] if key else 0


router = APIRouter()


@router.get("/numbers")
async def numbers(start: Annotated[int, Depends(after)], limit: Limit = DEFAULT_LIMIT) -> Page[dict[str, int]]:
    rows = [{"number": number} for number in NUMBERS if number > start][: limit + 1]
    return Page.of(rows, limit, lambda row: (row["number"],))


async def get(**query: Any) -> httpx.Response:
    transport = httpx.ASGITransport(create_app("test", [router], {}, body_max_bytes=1_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/numbers", params=query)


@given(st.lists(st.text() | st.integers(-(2**53), 2**53) | st.booleans() | st.none()))
def test_a_cursor_gives_back_the_key_it_was_made_from(key: list[Any]) -> None:
    cursor = encode_cursor(key)
    assert decode_cursor(cursor) == tuple(key)
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_a_cursor_gives_back_typed_keys() -> None:
    at = datetime(2024, 5, 1, 12, 30, 15, 250_000, tzinfo=UTC)
    assert decode_cursor(encode_cursor([at, "c-1"]), datetime, str) == (at, "c-1")
    assert decode_cursor(None, datetime, str) is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "e30", "bm90IGpzb24", encode_cursor(["1"]), encode_cursor([1, 2]), "é", "a" * 1_001]
)
def test_what_is_no_cursor_of_the_list_is_a_problem_at_its_path(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(cursor, int)
    assert (refused.value.status, refused.value.path) == (400, "$.cursor")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (2**70, RowId),
        (2**63, RowId),
        (-1, RowId),
        ("a\0b", Text),
        ("2024-05-01T12:30:15", Moment),
        ("0001-01-01T00:00:00+23:59", Moment),  # in UTC it is before all years
        (("0001-01-01T00:00:00+23:59", 1), tuple[Moment, RowId] | None),
    ],
)
def test_what_no_database_takes_is_no_cursor(key: object, kind: Any) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(encode_cursor([key]), kind)
    assert (refused.value.status, refused.value.path) == (400, "$.cursor")


def test_what_the_database_can_hold_is_a_cursor() -> None:
    key = (2**63 - 1, "安\n", datetime(2024, 5, 1, 12, tzinfo=UTC))
    assert decode_cursor(encode_cursor(key), RowId, Text, Moment) == key
    pair, place = (key[2], 1), tuple[Moment, RowId] | None
    assert decode_cursor(encode_cursor((None, pair)), place, place) == (None, pair)


async def test_pages_follow_each_other_to_the_end_and_a_full_last_page_has_no_next() -> None:
    seen, cursor, pages = [], None, 0
    while True:
        page = (await get(limit=3, **({"cursor": cursor} if cursor else {}))).json()
        seen += [item["number"] for item in page["items"]]
        pages, cursor = pages + 1, page["next"]
        if cursor is None:
            break
    assert (seen, pages) == ([1, 2, 3, 4, 5, 6, 7], 3)
    assert (await get(limit=7)).json()["next"] is None
    assert (await get()).json() == {"items": [{"number": number} for number in NUMBERS], "next": None}


@pytest.mark.parametrize(
    ("query", "status", "path"),
    [
        ({"limit": 0}, 422, "$.limit"),
        ({"limit": 501}, 422, "$.limit"),
        ({"limit": "all"}, 422, "$.limit"),
        ({"cursor": "nonsense"}, 400, "$.cursor"),
        ({"cursor": "x" * 3_000}, 422, "$.cursor"),
    ],
)
async def test_a_bad_query_is_a_problem_at_its_path(query: dict[str, Any], status: int, path: str) -> None:
    response = await get(**query)
    assert (response.status_code, response.json()["path"]) == (status, path)
    assert response.headers["content-type"] == "application/problem+json"
