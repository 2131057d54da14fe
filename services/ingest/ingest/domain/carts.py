"""From a whole cart to what was put in and what was taken out since the last one known."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from common.contracts.ingest import MAX_QUANTITY, CartItemAdded, CartItemRemoved, CartUpdated, Item

Change = CartItemAdded | CartItemRemoved


class Cart(Struct, frozen=True):
    """A cart as it was last seen: one line for each item."""

    at: datetime
    items: tuple[Item, ...] = ()


def update(
    cart: Cart | None, told: CartUpdated, at: datetime, *, timed: bool = True
) -> tuple[Cart, tuple[Change, ...]]:
    """The cart as it is now, and what was added and removed; one that is older than the last known changes nothing.

    Not `timed`: it is the newest there is, whatever another process's clock shows.
    """
    if cart is not None and at < cart.at:
        if timed:
            return cart, ()
        at = cart.at
    before = {item.item_id: item for item in cart.items} if cart is not None else {}
    after = {item.item_id: item for item in _added_up(told.items)}
    changes: list[Change] = []
    for item_id, item in before.items():
        less = item.quantity - (after[item_id].quantity if item_id in after else 0)
        if less > 0:
            changes.append(CartItemRemoved(replace(after.get(item_id, item), quantity=less), told.cart_id))
    for item_id, item in after.items():
        more = item.quantity - (before[item_id].quantity if item_id in before else 0)
        if more > 0:
            changes.append(CartItemAdded(replace(item, quantity=more), told.cart_id))
    return Cart(at, tuple(after.values())), tuple(changes)


def _added_up(lines: Sequence[Item]) -> list[Item]:
    """The same item on several lines (one with an engraving, say) is one; the first line describes it."""
    items: dict[str, Item] = {}
    for line in lines:
        known = items.get(line.item_id)
        quantity = min(MAX_QUANTITY, line.quantity + (known.quantity if known is not None else 0))
        items[line.item_id] = replace(known or line, quantity=quantity)
    return list(items.values())
