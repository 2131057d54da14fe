"""Whole carts as what was added and removed."""

from datetime import UTC, datetime, timedelta

from common.contracts.ingest import MAX_QUANTITY, CartItemAdded, CartItemRemoved, CartUpdated, Item
from common.money import Money
from ingest.domain.carts import Cart, update

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER, BEFORE = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)
MUG = Item("mug", 2, "Mug", "kitchen", Money(3_900, "CNY"))


def whole(*items: Item) -> CartUpdated:
    return CartUpdated("k1", items)


def test_the_first_cart_is_all_added() -> None:
    cart, told = update(None, whole(MUG, Item("lamp")), NOW)
    assert told == (CartItemAdded(MUG, "k1"), CartItemAdded(Item("lamp"), "k1"))
    assert cart == Cart(NOW, (MUG, Item("lamp")))


def test_more_and_less_of_an_item_are_the_difference() -> None:
    cart, _ = update(None, whole(MUG, Item("lamp", 3)), NOW)
    cart, told = update(cart, whole(Item("mug", 5, "Mug, large"), Item("lamp", 1)), LATER)
    assert told == (
        CartItemRemoved(Item("lamp", 2), "k1"),
        CartItemAdded(Item("mug", 3, "Mug, large"), "k1"),
    )
    assert update(cart, whole(Item("lamp", 1), Item("mug", 5)), LATER)[1] == ()


def test_what_is_gone_is_removed_as_it_was_described() -> None:
    cart, _ = update(None, whole(MUG, Item("lamp")), NOW)
    cart, told = update(cart, whole(), LATER)
    assert told == (CartItemRemoved(MUG, "k1"), CartItemRemoved(Item("lamp"), "k1"))
    assert cart == Cart(LATER)
    assert update(cart, whole(), LATER) == (cart, ())


def test_the_same_item_on_several_lines_adds_up() -> None:
    cart, told = update(None, whole(MUG, Item("mug", 1, "Mug, engraved")), NOW)
    assert told == (CartItemAdded(Item("mug", 3, "Mug", "kitchen", Money(3_900, "CNY")), "k1"),)
    assert update(cart, whole(Item("mug", 1), Item("mug", 1)), LATER)[1] == (CartItemRemoved(Item("mug", 1), "k1"),)


def test_no_more_of_an_item_than_an_event_may_say() -> None:
    _, told = update(None, whole(Item("mug", MAX_QUANTITY), Item("mug", MAX_QUANTITY)), NOW)
    assert told == (CartItemAdded(Item("mug", MAX_QUANTITY), "k1"),)


def test_an_older_cart_changes_nothing_and_one_of_the_same_moment_does() -> None:
    cart, _ = update(None, whole(MUG), NOW)
    assert update(cart, whole(), BEFORE) == (cart, ())
    assert update(cart, whole(), NOW) == (Cart(NOW), (CartItemRemoved(MUG, "k1"),))


def test_a_cart_without_a_time_of_its_own_is_the_newest() -> None:
    """Two processes' clocks differ by a little."""
    cart, _ = update(None, whole(MUG), NOW)
    assert update(cart, whole(), BEFORE, timed=False) == (Cart(NOW), (CartItemRemoved(MUG, "k1"),))
