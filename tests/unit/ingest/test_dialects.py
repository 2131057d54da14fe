"""Platforms' REST APIs without a network: what is asked, how answers are read, and where credentials may go."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.connectors.known import CONNECTORS
from ingest.reconcile import shopify, woocommerce
from ingest.reconcile.dialect import Answer, Ask, Unreadable
from ingest.reconcile.known import DIALECTS
from ingest.reconcile.rest import origin_of, shop_address

SINCE = datetime(2026, 3, 22, 12, 0, tzinfo=UTC)
SHOP = "https://shop.example.com"


def answer(body: Any, **headers: str) -> Answer:
    return Answer(json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def test_every_dialect_has_a_connector() -> None:
    assert DIALECTS.keys() <= CONNECTORS.keys()


def test_what_shopify_is_asked() -> None:
    assert shopify.url(SHOP, Ask("orders", SINCE)) == (
        f"{SHOP}/admin/api/{shopify.API_VERSION}/orders.json"
        "?updated_at_min=2026-03-22T12%3A00%3A00%2B00%3A00&order=updated_at+asc&limit=250&status=any"
    )
    assert "status" not in shopify.url(SHOP, Ask("customers", SINCE))
    assert shopify.headers("shpat_1") == {"X-Shopify-Access-Token": "shpat_1"}


def test_a_page_of_shopify() -> None:
    """Objects go on byte for byte: what came through a float would have lost its last digits."""
    order = b'{"id": 820982911946154508,  "updated_at":"2026-03-22T12:28:03-07:00", "total_price": "29.35"}'
    link = f'<{SHOP}/x?page_info=a>; rel="previous", <{SHOP}/x?limit=250&page_info=b>; rel="next"'
    page = shopify.read(Ask("orders", SINCE), Answer(b'{"orders": [' + order + b"]}", {"link": link}))
    (found,) = page.found
    assert found.delivery.body == order
    assert found.delivery.headers == {"x-shopify-topic": "orders/updated"}
    assert (found.key, found.changed_at) == (
        ("820982911946154508", "2026-03-22T12:28:03-07:00"),
        datetime(2026, 3, 22, 19, 28, 3, tzinfo=UTC),
    )
    assert page.next is not None
    assert shopify.url(SHOP, page.next) == f"{SHOP}/x?limit=250&page_info=b"
    last = shopify.read(Ask("orders", SINCE), Answer(b'{"orders": []}', {"link": link.partition(",")[0]}))
    assert (last.found, last.next) == ((), None)


@pytest.mark.parametrize(
    ("limit", "pause_s"), [("1/40", 0), ("32/40", 0), ("33/40", 0.5), ("40/40", 4), ("80/80", 8), ("?", 0), ("", 0)]
)
def test_the_bucket_of_shopify(limit: str, pause_s: float) -> None:
    assert shopify.pause_s({"x-shopify-shop-api-call-limit": limit}) == pause_s


def test_what_woocommerce_is_asked() -> None:
    assert woocommerce.url(f"{SHOP}/wp", Ask("orders", SINCE, 2)) == (
        f"{SHOP}/wp/wp-json/wc/v3/orders?modified_after=2026-03-22T11%3A59%3A59&dates_are_gmt=true"
        "&orderby=modified&order=asc&per_page=100&page=2"
    )
    assert woocommerce.headers("ck_1:cs_2") == {"Authorization": "Basic Y2tfMTpjc18y"}


def test_the_next_page_of_woocommerce_begins_at_the_last_change() -> None:
    def after(*times: str, pages: str = "3", page: int = 1) -> Ask | None:
        orders = [{"id": number, "date_modified_gmt": time} for number, time in enumerate(times)]
        return woocommerce.read(Ask("orders", SINCE, page), answer(orders, x_wp_totalpages=pages)).next

    later = datetime(2026, 3, 22, 12, 5, tzinfo=UTC)
    assert after("2026-03-22T12:01:00", "2026-03-22T12:05:00") == Ask("orders", later)
    assert after("2026-03-22T12:00:00", "2026-03-22T12:00:00") == Ask("orders", SINCE, 2)  # all of one second
    assert after("2026-03-22T12:01:00", pages="1") is None
    assert after("2026-03-22T12:01:00", pages="3", page=3) is None
    assert after("2026-03-22T12:01:00", pages="") is None  # a proxy took the header away: not a full page
    assert after() is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"orders": {}}', b'{"customers": []}', b'{"orders": [1]}'])
def test_an_answer_of_shopify_that_is_none(body: bytes) -> None:
    with pytest.raises(Unreadable):
        shopify.read(Ask("orders", SINCE), Answer(body, {}))


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[1]", b'[{"no": 1}]'])
def test_an_answer_of_woocommerce_that_is_none(body: bytes) -> None:
    with pytest.raises(Unreadable):
        woocommerce.read(Ask("orders", SINCE), Answer(body, {}))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Shop.example.com/", "https://shop.example.com"),
        ("https://example.com:8443/wp/", "https://example.com:8443/wp"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:80", "http://[::1]:80"),
        (" https://shop.example.com/\n", "https://shop.example.com"),
    ],
)
def test_an_address(given: str, kept: str) -> None:
    assert shop_address(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "http://shop.example.com", "http://169.254.169.254", "http://localhost.example.com", "ftp://127.0.0.1",
        "file:///etc/passwd", "https://user:secret@shop.example.com", "https://shop.example.com?x=1", "https://",
        "https://shop.example.com#x", "shop.example.com", "", "https://shop.example.com:port", "https://a b.example",
        "http://127.0.0.1@evil.example", "https://[::1", "https://" + "a" * 600,
    ],
)  # fmt: skip
def test_an_address_that_is_none(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        shop_address(given)


def test_what_makes_two_addresses_the_same_server() -> None:
    assert origin_of("https://shop.example.com/x?y") == origin_of("https://shop.example.com:443")
    for other in ("http://shop.example.com", "https://shop.example.com:444", "https://shop.example.com.evil.example"):
        assert origin_of(other) != origin_of("https://shop.example.com")
