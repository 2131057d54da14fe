"""What Youzan's messages of orders look like: the whole order of today and of 2018, or only what has changed."""

from msgspec import Struct

from ingest.connectors.chinese import Amount, Key
from ingest.connectors.youzan.customers import Buyer


class Line(Struct, frozen=True):
    """One line of an order; `payment` is of the whole line."""

    item_id: Key = None
    sku_id: Key = None
    num: Amount = None
    title: str | None = None
    payment: Amount = None


class Address(Struct, frozen=True):
    """Where it goes."""

    receiver_name: str | None = None
    receiver_tel: str | None = None
    delivery_province: str | None = None
    delivery_city: str | None = None
    delivery_district: str | None = None
    delivery_address: str | None = None


class Phase(Struct, frozen=True):
    """A deposit, or what is left to pay after it; with a transaction's number once it is paid."""

    real_price: Amount = None
    inner_transaction_no: Key = None


class Pay(Struct, frozen=True):
    """`payment` is what the buyer pays for all of it."""

    payment: Amount = None
    phase_payments: tuple[Phase, ...] | None = None


class Head(Struct, frozen=True):
    """The order's own fields."""

    tid: Key = None
    created: str | None = None
    pay_time: str | None = None
    update_time: str | None = None
    pay_type: Key = None


class Order(Struct, frozen=True):
    """An order as a whole."""

    head: Head = Head()
    pay: Pay = Pay()
    buyer: Buyer | None = None
    address: Address | None = None
    lines: tuple[Line, ...] | None = None


class FullOrder(Struct, frozen=True, rename={"head": "order_info", "pay": "pay_info", "buyer": "buyer_info",
                                             "address": "address_info", "lines": "orders"}):  # fmt: skip
    """The same as today's messages write it."""

    head: Head = Head()
    pay: Pay = Pay()
    buyer: Buyer | None = None
    address: Address | None = None
    lines: tuple[Line, ...] | None = None


class OldOrder(Struct, frozen=True):
    """The same as `TRADE` writes it."""

    tid: Key = None
    created: str | None = None
    pay_time: str | None = None
    update_time: str | None = None
    pay_type: Key = None
    status: str | None = None
    payment: Amount = None
    fans_info: Buyer | None = None
    receiver_name: str | None = None
    receiver_mobile: str | None = None
    receiver_city: str | None = None
    orders: tuple[Line, ...] | None = None


class Trade(Struct, frozen=True):
    """What `msg` may hold: the whole order, or only what has changed."""

    tid: Key = None
    status: str | None = None
    payment: Amount = None
    pay_type: Key = None
    update_time: str | None = None
    oids: Key = None
    express_no: Key = None
    close_type: Key = None
    refund_id: Key = None
    refunded_fee: Amount = None
    refund_type: str | None = None
    full_order_info: FullOrder | None = None
    trade: OldOrder | None = None
