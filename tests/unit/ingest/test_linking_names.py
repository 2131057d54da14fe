"""Who was a cart or a phone number until now is called by the buyer's number as soon as that is known."""

from datetime import UTC, datetime

from ingest.domain.identity import Rules
from ingest.domain.linking import Linked, Merge, Name, Named, link
from ingest.people.rules import load

AT = datetime(2026, 5, 1, tzinfo=UTC)
RULES: Rules = load()
CART, BUYER, PHONE = Name("anonymous", "cart:1"), Name("buyer", "shopify:7"), Name("phone", "ab12")


def linked(*events: Named) -> Linked:
    return link(RULES, events, {}, {}, {})


def test_a_cart_becomes_the_buyer() -> None:
    found = linked(Named("", (CART,), "cart:1", AT), Named("", (BUYER, CART), "shopify:7", AT))
    assert found.merges == [Merge("cart:1", "shopify:7", CART, 1)]
    assert found.people == ["shopify:7", "shopify:7"]


def test_a_guest_becomes_the_buyer() -> None:
    found = linked(Named("", (PHONE,), "p_1", AT), Named("", (BUYER, PHONE), "shopify:7", AT))
    assert found.merges == [Merge("p_1", "shopify:7", PHONE, 1)]


def test_who_has_an_id_of_the_shop_keeps_it() -> None:
    found = linked(Named("u1", (PHONE,), "u1", AT), Named("", (BUYER, PHONE), "shopify:7", AT))
    assert found.merges == []
    assert found.people == ["u1", "u1"]
