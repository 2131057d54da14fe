"""What is said to TMC and to Pinduoduo, and what is made of their answers."""

import json
from datetime import UTC, datetime
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Rejection
from ingest.connectors import pinduoduo
from ingest.connectors.port import Converted, Delivery, Ignored
from ingest.connectors.taobao import connector as taobao
from ingest.connectors.taobao.parcels import TRACE
from ingest.feeds.pdd import Pinduoduo, path
from ingest.feeds.port import Handed, Malformed, Refused
from ingest.feeds.tmc import Tmc, signature
from ingest.feeds.tmc_frames import (
    CONFIRM,
    CONNECT,
    CONNECTACK,
    DATA,
    KIND,
    PULL,
    SEND,
    Date,
    Frame,
    Value,
    decode,
    encode,
)
from tests.unit.ingest.connectors.deliveries import events, read

NOW = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
MS = 1767232800000
ID = 6142200092063758446


def tmc() -> Tmc:
    return Tmc(taobao.Options(connect=True, app_key="12497914", group="shops"), "a-secret")


def opened() -> Tmc:
    conversation = tmc()
    assert conversation.heard(encode(Frame(CONNECTACK, token="tok"))) is None
    return conversation


def test_tmc_signs_in() -> None:
    """MD5 of secret, app_key12497914 group_nameshops timestamp1767232800000, secret; upper case."""
    text = "a-secretapp_key12497914group_nameshopstimestamp1767232800000a-secret"
    expected = md5(text.encode(), usedforsecurity=False).hexdigest().upper()
    conversation = tmc()
    assert conversation.address(NOW) == "ws://mc.api.taobao.com/"
    hello = conversation.hello(NOW)
    assert isinstance(hello, bytes)
    said = {"app_key": "12497914", "group_name": "shops", "timestamp": str(MS)}
    assert decode(hello) == Frame(CONNECT, {**said, "sign": expected, "sdk": "regulars"})
    assert signature(said, "a-secret") == expected
    assert not conversation.is_open


def test_tmc_lets_in_or_not() -> None:
    assert opened().is_open
    for code_bits in (16, 32):
        refused = encode(Frame(CONNECTACK, code=41, phrase="sign check error"), code_bits)
        with pytest.raises(Refused, match="sign check error"):
            tmc().heard(refused)
    with pytest.raises(Refused):
        tmc().heard(encode(Frame(CONNECTACK)))
    assert tmc().heard(encode(Frame(CONNECTACK, code=0, token="tok"))) is None


def test_tmc_hands_out_and_is_told() -> None:
    conversation = opened()
    content = '{"tid":585608839663430,"payment":"48.90","buyer_nick":"b"}'
    topic = "taobao_trade_TradeBuyerPay"
    values: dict[str, Value] = {
        KIND: DATA,
        "id": ID,
        "topic": topic,
        "content": content,
        "userid": 1,
        "time": Date(MS),
        "retried": 0,
    }
    handed = conversation.heard(encode(Frame(SEND, values)))
    assert handed is not None
    assert json.loads(handed.body) == {
        "topic": topic, "content": content, "id": ID, "user_id": 1, "pub_time": "2026-01-01 10:00:00",
    }  # fmt: skip
    (event,) = events(read("taobao", Delivery(handed.body)))
    assert (event["type"], event["time"]) == ("order.paid", "2026-01-01T10:00:00+08:00")
    confirmed, asked = conversation.confirm(handed.receipt, NOW), conversation.beat(NOW)
    assert isinstance(confirmed, bytes)
    assert isinstance(asked, bytes)
    assert decode(confirmed) == Frame(SEND, {KIND: CONFIRM, "id": ID}, token="tok")
    assert decode(asked) == Frame(SEND, {KIND: PULL}, token="tok")


def test_tmc_says_other_things_too() -> None:
    conversation = opened()
    assert conversation.heard(encode(Frame(SEND, {KIND: PULL}))) is None
    assert conversation.heard(encode(Frame(3))) is None
    bare = conversation.heard(encode(Frame(SEND, {KIND: DATA})))
    assert bare == Handed(b"{}")
    for frame in (b"\x00", "a text"):
        with pytest.raises(Malformed):
            conversation.heard(frame)


def test_pinduoduo_signs_in_by_its_address() -> None:
    assert path("app", "secret", 1700000000000) == (
        "/message/app/1700000000000/OTgxODMwNDI2NWZiN2NiNzA2NzIxOTI0ZjJlMDMxMjE%3D"
    )
    conversation = Pinduoduo(pinduoduo.Options(connect=True, client_id="app"), "secret")
    assert conversation.address(NOW) == "wss://message-api.pinduoduo.com" + path("app", "secret", MS)
    assert conversation.is_open


def test_pinduoduo_hands_out_and_is_told() -> None:
    conversation = Pinduoduo(pinduoduo.Options(connect=True, client_id="app"), "secret")
    frame = json.dumps({
        "id": 9007199254740993, "commandType": "Common", "sendTime": MS - 1,
        "message": {"type": "pdd_trade_TradeSellerShip", "mallID": 100, "content": '{"tid":"260101-1"}'},
    })  # fmt: skip
    handed = conversation.heard(frame)
    assert handed is not None
    assert conversation.heard(frame.encode()) == handed
    (event,) = events(read("pinduoduo", Delivery(handed.body)))
    assert (event["type"], event["data"]) == ("shipment.dispatched", {"order_id": "260101-1"})
    assert json.loads(conversation.confirm(handed.receipt, NOW)) == {
        "commandType": "Ack", "time": MS, "id": 9007199254740993, "sendTime": MS - 1,
        "type": "pdd_trade_TradeSellerShip", "mallID": 100,
    }  # fmt: skip
    assert json.loads(conversation.beat(NOW)) == {"commandType": "HeartBeat", "time": MS}
    for other in ('{"commandType":"HeartBeat"}', '{"commandType":"Ack","id":1}', "{}"):
        assert conversation.heard(other) is None
    assert conversation.heard('{"commandType":"Common"}') == Handed(b'{"commandType":"Common"}')
    for frame_ in ("", "[]", b"\xff"):
        with pytest.raises(Malformed):
            conversation.heard(frame_)


WORDS = st.sampled_from(
    ["id", "topic", "content", "time", "userid", KIND, TRACE, "taobao_trade_TradeSuccess", '{"tid":1}']
)
VALUES = (
    st.none() | st.integers(-(2**63), 2**63 - 1) | WORDS | st.text(max_size=10) | st.binary(max_size=10)
    | st.builds(Date, st.integers(-(2**63), 2**63 - 1))
)  # fmt: skip
FRAMES = st.builds(
    lambda type_, values, kind: encode(Frame(type_, values | {KIND: kind})),
    st.sampled_from([SEND, SEND, CONNECTACK, 3]),
    st.dictionaries(WORDS, VALUES, max_size=6),
    st.sampled_from([DATA, DATA, PULL, None]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.dictionaries(
        st.sampled_from(["id", "commandType", "sendTime", "message", "type", "mallID", "content"]), inner, max_size=6
    ),
    max_leaves=10,
).map(lambda told: json.dumps(told | {"commandType": "Common"} if isinstance(told, dict) else told))


@given(FRAMES | JSON | st.binary(max_size=60))
def test_any_frame_is_heard(frame: bytes | str) -> None:
    """Whatever a platform says, it is a message, nothing, or refused; and a message can be confirmed."""
    for kind, conversation in (
        ("taobao", opened()),
        ("pinduoduo", Pinduoduo(pinduoduo.Options(connect=True, client_id="app"), "secret")),
    ):
        try:
            handed = conversation.heard(frame)
        except (Malformed, Refused):
            continue
        if handed is not None:
            assert isinstance(read(kind, Delivery(handed.body)), Converted | Ignored | Rejection)
        if handed is not None and handed.receipt is not None:
            assert conversation.confirm(handed.receipt, NOW)
