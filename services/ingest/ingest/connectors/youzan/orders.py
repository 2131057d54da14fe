"""Youzan's orders: what a message says has happened to one, of the sets of types of 2018 and of today."""

from collections.abc import Iterator
from datetime import datetime

from common.contracts import ingest
from common.contracts.envelope import Data
from common.money import Money
from ingest.connectors.chinese import Amount, beijing_if_any, key, yuan
from ingest.connectors.port import Fault
from ingest.connectors.reading import required
from ingest.connectors.values import label, quantity
from ingest.connectors.youzan.customers import Buyer, known_as
from ingest.connectors.youzan.shapes import Address, Head, Line, Order, Pay, Trade
from ingest.domain.accept import Identities, Personal

Fact = tuple[tuple[str, ...], datetime | None, Data]  # what makes its id, when, what

# What a type says has happened; the refunds stand below.
STEPS = {
    "trade_TradeCreate": "placed",
    "trade_TradePaid": "paid",
    "trade_TradeBuyerPay": "paid",  # it waits for its shipment; an order that is paid on delivery does so too
    "trade_TradePartlySellerShip": "dispatched",
    "trade_TradeSellerShip": "dispatched",
    "trade_TradeSuccess": "completed",
    "trade_TradeClose": "cancelled",
}
# The old types say it by the order's state.
OLD = ("TRADE_ORDER_STATE", "TRADE")
STATES = {
    "WAIT_BUYER_PAY": "placed",
    "TRADE_PAID": "paid",
    "WAIT_CONFIRM": "paid",  # for its group to be complete, or for the shop to take the order
    "WAIT_GROUP": "paid",
    "WAIT_SELLER_SEND_GOODS": "paid",
    "WAIT_BUYER_CONFIRM_GOODS": "dispatched",
    "TRADE_BUYER_SIGNED": "delivered",
    "TRADE_SUCCESS": "completed",
    "TRADE_CLOSED": "cancelled",
    "TRADE_CLOSED_BY_USER": "cancelled",
}
# The money goes back with these. Of the old set a refund without return ends with the shop's consent.
REFUNDS = ("trade_refund_RefundSuccess", "trade_refund_SysRefund", "youzan_trade_RefundSuccess")
CONSENT = "trade_refund_RefundSellerAgree"
NO_RETURN, EXCHANGE = "REFUND_ONLY", "EXCHANGE_GOODS_FLOW"
TYPES = (*STEPS, *OLD, *REFUNDS, CONSENT)
# An order with a deposit is paid in full when it has come so far, not when it has a time of payment.
BEYOND_A_DEPOSIT = (
    "trade_TradeBuyerPay",
    "trade_TradePartlySellerShip",
    "trade_TradeSellerShip",
    "trade_TradeSuccess",
)
ON_DELIVERY = ("CODPAY", "9")  # pay_type of the old and of the new set
REASONS = {
    "1": "expired",
    "2": "refunded",
    "3": "cancelled",
    "4": "cancelled by the buyer",
    "5": "cancelled by the shop",
}


def of_order(kind: str, status: str | None, said: Trade) -> tuple[list[Fact], Identities | None, Personal | None]:
    """What happened to an order, the oldest first, and whose it is as far as it is told. Raises Fault."""
    order = _order(said)
    tid = required(key(said.tid or order.head.tid), "$.msg.tid")
    facts: list[Fact] = []
    if said.full_order_info is not None or said.trade is not None:
        facts += _of_whole(order, tid, kind)
    if kind in REFUNDS or kind == CONSENT:
        facts += _refund(kind, said, tid)
    else:
        facts += _of_step(kind, status, said, order, tid)
    seen: dict[tuple[str, ...], Fact] = {}
    for fact in facts:  # the whole order says of a step what the step's own message says
        seen.setdefault(fact[0], fact)
    return list(seen.values()), known_as(order.buyer), _personal(order)


def _order(said: Trade) -> Order:
    if (full := said.full_order_info) is not None:
        return Order(full.head, full.pay, full.buyer, full.address, full.lines)
    if (old := said.trade) is not None:
        head = Head(old.tid, old.created, old.pay_time, old.update_time, old.pay_type)
        address = Address(old.receiver_name, old.receiver_mobile, delivery_city=old.receiver_city)
        return Order(head, Pay(old.payment), old.fans_info, address, old.orders)
    return Order(Head(said.tid, pay_type=said.pay_type), Pay(said.payment))


def _of_whole(order: Order, tid: str, kind: str) -> Iterator[Fact]:
    amount = yuan(order.pay.payment, "$.msg.full_order_info.pay_info.payment")
    head, where = order.head, "$.msg.full_order_info.order_info"
    items = tuple(item for line in order.lines or () if (item := _item(line)) is not None)[: ingest.MAX_ITEMS]
    placed = beijing_if_any(head.created, f"{where}.created")
    yield ("order", tid, "placed"), placed, ingest.OrderPlaced(tid, amount, items)
    if order.address and (city := label(order.address.delivery_city)) and known_as(order.buyer):
        yield ("order", tid, "city"), placed, ingest.CustomerUpdated(city=city)
    phases = order.pay.phase_payments or ()
    paid = beijing_if_any(head.pay_time, f"{where}.pay_time")
    if phases and kind not in BEYOND_A_DEPOSIT:
        for index, phase in enumerate(phases):
            if payment_id := key(phase.inner_transaction_no):
                part = yuan(phase.real_price, f"$.msg.full_order_info.pay_info.phase_payments[{index}].real_price")
                cause = ("order", tid, "payment", payment_id)
                yield cause, paid, ingest.OrderPaymentReceived(tid, payment_id, part)
    elif paid is not None:
        yield ("order", tid, "paid"), paid, ingest.OrderPaid(tid, amount)


def _of_step(kind: str, status: str | None, said: Trade, order: Order, tid: str) -> Iterator[Fact]:
    state = said.status or (said.trade.status if said.trade is not None else None) or status or ""
    step = STATES.get(state) if kind in OLD else STEPS[kind]
    at = beijing_if_any(said.update_time or order.head.update_time, "$.msg.update_time")
    whole = said.full_order_info is not None or said.trade is not None
    match step:
        case "placed":
            yield ("order", tid, "placed"), at, ingest.OrderPlaced(tid, _amount(order))
        case "paid":
            # What waits for its shipment is paid, unless it is paid on delivery; a whole order says so itself.
            on_delivery = key(order.head.pay_type) in ON_DELIVERY
            if not on_delivery and not (whole and (kind == "trade_TradeBuyerPay" or order.pay.phase_payments)):
                yield ("order", tid, "paid"), at, ingest.OrderPaid(tid, _amount(order))
        case "dispatched":
            parcel = key(said.express_no)
            part = (key(said.oids) or parcel or "",) if kind == "trade_TradePartlySellerShip" else ()
            yield ("order", tid, "dispatched", *part), at, ingest.ShipmentDispatched(tid, parcel)
        case "delivered":
            yield ("order", tid, "delivered"), at, ingest.ShipmentDelivered(tid)
        case "completed":
            known = order.pay.payment is not None
            data = ingest.OrderCompleted(tid, _amount(order)) if known else ingest.OrderFinished(tid)
            yield ("order", tid, "completed"), at, data
        case "cancelled":
            yield ("order", tid, "cancelled"), at, ingest.OrderCancelled(tid, REASONS.get(key(said.close_type) or ""))
        case _:
            return


def _refund(kind: str, said: Trade, tid: str) -> Iterator[Fact]:
    if said.refund_type == EXCHANGE or (kind == CONSENT and said.refund_type != NO_RETURN):
        return
    refund_id = required(key(said.refund_id), "$.msg.refund_id")
    amount = yuan(said.refunded_fee, "$.msg.refunded_fee")
    at = beijing_if_any(said.update_time, "$.msg.update_time")
    yield ("order", tid, "refunded", refund_id), at, ingest.OrderRefunded(tid, refund_id, amount)


def _amount(order: Order) -> Money:
    return yuan(order.pay.payment, "$.msg.payment")


def _item(line: Line) -> ingest.Item | None:
    item_id = key(line.item_id)
    if item_id is None:
        return None
    sku_id = key(line.sku_id)
    return ingest.Item(
        f"{item_id}-{sku_id}" if sku_id else item_id,
        count := quantity(line.num),
        label(line.title),
        unit_price=_each(line.payment, count),
    )


def _each(payment: Amount, count: int) -> Money | None:
    """A piece's price where it comes out even; what a line costs is no reason to refuse the order."""
    try:
        whole = yuan(payment, "$")
    except Fault:
        return None
    return Money(whole.amount_minor // count, whole.currency) if whole.amount_minor % count == 0 else None


def _personal(order: Order) -> Personal | None:
    """The buyer's own phone before the receiver's, which may be somebody else's."""
    to, buyer = order.address or Address(), order.buyer or Buyer()
    place = (to.delivery_province, to.delivery_city, to.delivery_district, to.delivery_address)
    told = Personal(
        phone=label(buyer.buyer_phone) or label(to.receiver_tel),
        name=label(to.receiver_name),
        address=label(*place),
    )
    return told if told != Personal() else None
