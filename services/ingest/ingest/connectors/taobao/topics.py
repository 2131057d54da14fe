"""What TMC's topics of trades, refunds, members and consent say has happened."""

from datetime import datetime

from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Data
from ingest.connectors.chinese import Amount, Key, beijing_if_any, key, yuan
from ingest.connectors.port import Fault, Ignored
from ingest.connectors.reading import required
from ingest.connectors.values import label

Fact = tuple[tuple[str, ...], datetime | None, Data]  # what makes its id, when, what

TRADE, REFUND, CRM = "taobao_trade_", "taobao_refund_", "taobao_opencrm_"
TOPICS = (
    *(TRADE + each for each in (
        "TradeCreate", "TradeBuyerPay", "TradeBuyerStepPay", "TradeModifyFee", "TradeClose", "TradeSellerShip",
        "TradePartlySellerShip", "TradeSuccess", "TradeRated")),
    REFUND + "RefundSuccess",
    *(CRM + each for each in ("MemberJoin", "MemberJoinPrivate", "MemberGradeChange", "AuthTouchMessage")),
)  # fmt: skip
# How an order was closed. Other states are those of an order that goes on: a part of it was closed.
CLOSED = {"TRADE_CLOSED_BY_TAOBAO": "not paid", "TRADE_CLOSED": "refunded", "": None}
VIA = "taobao"
MEMBER_LEVEL = "member_level"


class Content(Struct, frozen=True):
    """What `content` may hold. `payment` is in yuan, as all amounts are."""

    tid: Key = None
    oid: Key = None
    payment: Amount = None
    step_paid_fee: Amount = None
    status: str | None = None
    rater: str | None = None
    buyer_nick: str | None = None
    buyer_open_uid: Key = None
    ouid: Key = None
    user: Key = None
    refund_id: Key = None
    refund_fee: Amount = None
    modified: str | None = None
    join_time: str | None = None
    first_join_time: str | None = None
    first: str | None = None
    latest: str | None = None
    grade: Key = None
    msg_id: Key = None


def of_topic(topic: str, said: Content, who: str, published: datetime | None, where: str) -> Fact | Ignored:
    """What happened, and when: where the content does not say it, when the message was published. `who` is a name of
    the person that shows nothing. Raises Fault."""
    if topic.startswith(CRM):
        return _of_member(topic.removeprefix(CRM), said, who, published, where)
    tid = required(key(said.tid), f"{where}.tid")
    if topic.startswith(REFUND):
        refund_id = required(key(said.refund_id), f"{where}.refund_id")
        amount = yuan(said.refund_fee, f"{where}.refund_fee")
        at = beijing_if_any(said.modified, f"{where}.modified") or published
        return ("order", tid, "refunded", refund_id), at, ingest.OrderRefunded(tid, refund_id, amount)
    name = topic.removeprefix(TRADE)
    if name in ("TradeCreate", "TradeModifyFee", "TradeBuyerPay", "TradeBuyerStepPay"):
        return _of_money(name, said, tid, published, f"{where}.payment")
    return _of_way(name, said, tid, published, f"{where}.payment")


def _of_money(name: str, said: Content, tid: str, at: datetime | None, path: str) -> Fact:
    if name == "TradeBuyerStepPay":
        deposit = yuan(said.payment if said.step_paid_fee is None else said.step_paid_fee, path)
        return ("order", tid, "deposit"), at, ingest.OrderPaymentReceived(tid, f"{tid}-deposit", deposit)
    amount = yuan(said.payment, path)
    match name:
        case "TradeCreate":
            return ("order", tid, "placed"), at, ingest.OrderPlaced(tid, amount)
        case "TradeBuyerPay":
            return ("order", tid, "paid"), at, ingest.OrderPaid(tid, amount)
        case _:  # as often as the shop changes it
            when = at.isoformat() if at is not None else ""
            return ("order", tid, "fee", when, str(amount.amount_minor)), at, ingest.OrderUpdated(tid, amount)


def _of_way(name: str, said: Content, tid: str, at: datetime | None, path: str) -> Fact | Ignored:
    match name:
        case "TradeSellerShip":
            return ("order", tid, "dispatched"), at, ingest.ShipmentDispatched(tid)
        case "TradePartlySellerShip":
            return ("order", tid, "dispatched", key(said.oid) or ""), at, ingest.ShipmentDispatched(tid)
        case "TradeSuccess":
            known = said.payment is not None
            data = ingest.OrderCompleted(tid, yuan(said.payment, path)) if known else ingest.OrderFinished(tid)
            return ("order", tid, "completed"), at, data
        case "TradeClose":
            if (status := said.status or "") not in CLOSED:
                return Ignored("a part of an order was closed")
            return ("order", tid, "cancelled"), at, ingest.OrderCancelled(tid, CLOSED[status])
        case _:  # TradeRated: a review of ours has its stars, and these are not told
            return Ignored("a review without its rating" if said.rater == "buyer" else "a rating by the shop")


def _of_member(name: str, said: Content, who: str, published: datetime | None, where: str) -> Fact:
    when = published.isoformat() if published is not None else ""
    told = key(said.msg_id) or when
    match name:
        case "AuthTouchMessage":  # only that it was given is told, never that it was taken back
            at = _time(said.latest, f"{where}.latest") or published
            return ("consent", who, told), at, ingest.ConsentChanged("sms", "marketing", granted=True, via=VIA)
        case "MemberGradeChange":
            return ("member", who, "grade", told), published, _graded(label(key(said.grade)))
        case _:
            at = _time(said.join_time, f"{where}.join_time") or published
            first = _time(said.first_join_time, f"{where}.first_join_time")
            if first is not None and at is not None and first < at:
                return ("member", who, "again", told), at, ingest.CustomerUpdated()
            return ("member", who, "joined", told), at, ingest.CustomerRegistered()


def _graded(level: str | None) -> ingest.CustomerUpdated:
    return ingest.CustomerUpdated(attributes={} if level is None else {MEMBER_LEVEL: level})


def _time(text: str | None, path: str) -> datetime | None:
    """A time that is no reason to refuse what happened then: the form of these is nowhere published."""
    try:
        return beijing_if_any(text, path)
    except Fault:
        return None
