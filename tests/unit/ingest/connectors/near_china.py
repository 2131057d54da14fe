"""Bodies near to what Youzan, Douyin, Taobao and Pinduoduo send, so that a search gets past the first field."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from ingest.connectors.taobao.parcels import STEPS, TRACE
from ingest.connectors.taobao.topics import TOPICS
from ingest.connectors.youzan.orders import STATES
from ingest.connectors.youzan.orders import TYPES as YOUZAN_TYPES

ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([10**30, -1, "NaN", "1e999", "0001-01-01 00:00:00", "9999-12-31 23:59:59", {}, [], "13800138000"])
)


def mostly(*good: Any) -> st.SearchStrategy[Any]:
    """What is right nine times of ten."""
    return st.integers(0, 9).flatmap(lambda dice: ODD if dice == 0 else st.sampled_from(good))


TIME = mostly("2026-01-31 09:05:00", "", None)
SECONDS = mostly(1767232800, "1767232800", 0, None, 10**15)
IDS = mostly(4153871521512345678, "E1", "1", 0)
AMOUNTS = mostly("12.50", 1250, 12.5, "0.00", None)
TEXT = mostly("李雷", "", "[杭州市]快件已到达杭州")
FLAG = mostly(False, False, True, None)


def written(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON by itself, or as a text."""
    return st.one_of(content, content.map(json.dumps))


def encoded(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """As Youzan writes `msg`."""
    ways: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([quote, quote_plus, str])
    return st.one_of(content, st.tuples(ways, content).map(lambda pair: pair[0](json.dumps(pair[1]))))


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


ORDER = some(
    order_info=some(tid=IDS, created=TIME, pay_time=TIME, update_time=TIME, pay_type=IDS),
    pay_info=some(
        payment=AMOUNTS, phase_payments=st.lists(some(real_price=AMOUNTS, inner_transaction_no=IDS), max_size=2)
    ),
    buyer_info=some(buyer_id=IDS, yz_open_id=IDS, fans_id=IDS, buyer_phone=TEXT),
    address_info=some(receiver_name=TEXT, receiver_tel=TEXT, delivery_city=TEXT, delivery_address=TEXT),
    orders=st.lists(some(item_id=IDS, sku_id=IDS, num=AMOUNTS, title=TEXT, payment=AMOUNTS), max_size=3),
)
MSG = some(
    tid=IDS, status=mostly(*STATES), payment=AMOUNTS, update_time=TIME, oids=IDS, express_no=IDS, close_type=IDS,
    refund_id=IDS, refunded_fee=AMOUNTS, refund_type=TEXT, full_order_info=ORDER, account_id=IDS,
    account_type=mostly("YouZanAccount", "Mobile", "FansID"), mobile=TEXT, name=TEXT, card_no=IDS, event_time=TIME,
    trade=some(tid=IDS, status=mostly(*STATES), payment=AMOUNTS, created=TIME, fans_info=some(buyer_id=IDS)),
)  # fmt: skip
YOUZAN = st.fixed_dictionaries(
    {"type": mostly(*YOUZAN_TYPES, "SCRM_CUSTOMER_EVENT", "SCRM_CUSTOMER_CARD"), "msg": encoded(MSG)},
    optional={
        "status": mostly("CUSTOMER_CREATED", "CUSTOMER_UPDATED", "CUSTOMER_CARD_TAKEN", "WAIT_BUYER_PAY"),
        "client_id": IDS, "kdt_id": IDS, "test": FLAG, "version": IDS, "msg_id": IDS,
    },
)  # fmt: skip
DOUYIN = st.fixed_dictionaries(
    {
        "tag": mostly("0", "100", "101", "110", "102", "103", "106", "108", "206", 101),
        "data": written(some(
            p_id=IDS, shop_id=IDS, create_time=SECONDS, pay_time=SECONDS, update_time=SECONDS, complete_time=SECONDS,
            cancel_time=SECONDS, success_time=SECONDS, pay_type=mostly(0, 1), pay_amount=AMOUNTS, aftersale_id=IDS,
            refund_amount=AMOUNTS, doudian_open_id=IDS, logistics_msg=some(logistics_code=IDS),
            receiver_msg=some(name=TEXT, tel=TEXT, addr=TEXT))),
    },
)  # fmt: skip
TAOBAO = st.fixed_dictionaries(
    {
        "topic": mostly(*TOPICS, TRACE),
        "content": written(some(
            tid=IDS, oid=IDS, payment=AMOUNTS, step_paid_fee=AMOUNTS, status=mostly("TRADE_CLOSED", "WAIT_BUYER_PAY"),
            rater=TEXT, buyer_nick=TEXT, buyer_open_uid=IDS, ouid=IDS, user=TEXT, refund_id=IDS, refund_fee=AMOUNTS,
            modified=TIME, join_time=TIME, first_join_time=TIME, latest=TIME, msg_id=IDS, time=TIME, desc=TEXT,
            action=mostly(*STEPS, "ARRIVAL", "X_SIGN"), out_sid=IDS, company_name=TEXT, city=mostly("杭州市"))),
    },
    optional={"pub_time": TIME, "id": IDS, "city": mostly("杭州市")},
)  # fmt: skip
PINDUODUO = st.fixed_dictionaries(
    {
        "type": mostly(
            "pdd_trade_TradeConfirmed", "pdd_trade_TradeSellerShip", "pdd_trade_TradeSuccess",
            "pdd_refund_RefundAgreeAgreement"),
        "content": written(some(
            mall_id=IDS, tid=IDS, order_sn=IDS, refund_id=IDS, refund_fee=AMOUNTS, bill_type=mostly(1, 2, 3),
            modified=SECONDS, pay_amount=AMOUNTS)),
    },
    optional={"mallID": IDS},
)  # fmt: skip
FRAMES = PINDUODUO | st.fixed_dictionaries({"message": PINDUODUO}, optional={"id": IDS, "sendTime": SECONDS})


def several(message: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One, or an array of them."""
    return st.one_of(message, message, st.lists(message, max_size=3))


NEAR: dict[str, st.SearchStrategy[Any]] = {
    "youzan": YOUZAN,
    "douyin": several(DOUYIN),
    "taobao": several(TAOBAO)
    | st.lists(TAOBAO, max_size=3).map(
        lambda told: {"tmc_messages_consume_response": {"messages": {"tmc_message": told}}}
    ),
    "pinduoduo": several(FRAMES),
}
