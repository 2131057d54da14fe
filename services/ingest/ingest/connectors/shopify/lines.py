"""What is in a Shopify cart or order: its lines as items."""

from collections.abc import Mapping

from msgspec import Struct

from common.contracts import ingest
from common.money import Money
from ingest.connectors.port import Fault
from ingest.connectors.shopify.form import Amount, MoneySet, Number, amount_of, id_of
from ingest.connectors.values import label


class Line(Struct, frozen=True):
    """A line of a cart or an order; `price` is for one piece, before discounts."""

    id: Number = None
    product_id: Number = None
    variant_id: Number = None
    quantity: int = 1
    title: str | None = None
    name: str | None = None
    price: Amount = None
    price_set: MoneySet | None = None
    requires_shipping: bool | None = None


def items(
    lines: tuple[Line, ...], currency: str | None = None, gone: Mapping[str, int] | None = None
) -> tuple[ingest.Item, ...]:
    """Each thing once: two lines of one variant (engraved with two names, say) are added up. `gone`: how many of a
    line, by its id, were taken out again. Lines without a product (a tip, a line of the shop's own) are no items."""
    found: dict[str, ingest.Item] = {}
    for line in lines:
        item_id = "-".join(said for each in (line.product_id, line.variant_id) if (said := id_of(each)) is not None)
        pieces = line.quantity - (gone or {}).get(str(line.id), 0)
        if not item_id or not 1 <= pieces <= ingest.MAX_QUANTITY:
            continue
        name, price = label(line.title) or label(line.name), _price(line, currency)
        if (before := found.get(item_id)) is not None:
            pieces, name = min(pieces + before.quantity, ingest.MAX_QUANTITY), before.name
            price = price if price == before.unit_price else None
        found[item_id] = ingest.Item(item_id, pieces, name, None, price)
    return tuple(found.values())[: ingest.MAX_ITEMS]


def _price(line: Line, currency: str | None) -> Money | None:
    """What cannot be read is left out: nothing is refused for one line's price."""
    try:
        return amount_of(line.price, line.price_set, currency, "$")
    except Fault:
        return None
