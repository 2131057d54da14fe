"""What is in a customer's cart now: what was put in, less what was taken out, and less what was ordered since."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from segmentation.domain.profile.records import NOTHING
from segmentation.domain.profile.state import Profile

ADDED, REMOVED = "cart.item_added", "cart.item_removed"


class Line(Struct, frozen=True):
    """One item in the cart; the price is of one piece, in minor units, as last told."""

    item: str
    quantity: int
    price: int | None
    category: str | None
    changed_at: datetime


class Cart(Struct, frozen=True):
    """Everything in the cart. `changed_at` is when that last became another, emptied or not."""

    lines: tuple[Line, ...] = ()
    changed_at: datetime | None = None

    @property
    def pieces(self) -> int:
        """All of them together."""
        return sum(line.quantity for line in self.lines)

    @property
    def value_minor(self) -> int:
        """What they cost, of those that have a price."""
        return sum(line.quantity * (line.price or 0) for line in self.lines)

    @property
    def items(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(line.item for line in self.lines)

    @property
    def categories(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(line.category for line in self.lines if line.category))


def cart_of(profile: Profile) -> Cart:
    """The cart by all that is known of it, in whatever order that came: what is taken out before it was put in was
    never there, and an order that is placed takes its items with it."""
    lines: dict[str, Line] = {}
    changed_at = None
    for at, _, _, item, quantity, told, category in sorted(_moves(profile), key=lambda move: move[:3]):
        known = lines.get(item)
        if quantity is None:
            if lines.pop(item, None) is not None:
                changed_at = at
            continue
        left = max(0, (known.quantity if known else 0) + quantity)
        if known is None and not left:
            continue
        changed_at = at
        if left:
            price = told if told >= 0 else known.price if known else None
            lines[item] = Line(item, left, price, category or (known.category if known else None), at)
        else:
            del lines[item]
    return Cart(tuple(lines.values()), changed_at)


# When, what first at one time, which event; the item; pieces more or less, None for all; price, below 0: not told.
_Move = tuple[datetime, int, str, str, int | None, int, str]


def _moves(profile: Profile) -> Iterable[_Move]:
    for rank, (kind, sign) in enumerate(((ADDED, 1), (REMOVED, -1))):
        for record in profile.series.get(kind, NOTHING).records:
            about = record.about
            quantity, price, category = about.get("quantity", 1), about.get("price", -1), about.get("category", "")
            yield record.at, rank, record.name, about["item"], sign * quantity, price, category
    for order in profile.orders:
        if order.placed_at is not None:
            for item in order.items:
                yield order.placed_at, 2, order.order_id, item, None, -1, ""
