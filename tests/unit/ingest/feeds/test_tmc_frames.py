"""TMC's frames: bytes written out by hand, there and back, and any bytes at all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.feeds.port import Malformed
from ingest.feeds.tmc_frames import CONFIRM, CONNECT, CONNECTACK, DATA, KIND, PULL, SEND, Date, Frame, decode, encode

PULLED = bytes.fromhex(
    "02 02"  # version, SEND
    "0500 03000000 746f6b"  # token: 3 bytes, "tok"
    "0100 06000000 5f5f6b696e64 02 01"  # __kind: int8 1
    "0000"
)
HANDED_OUT = bytes.fromhex(
    "02 02"
    "0100 06000000 5f5f6b696e64 03 0300"  # __kind: int16 3
    "0100 02000000 6964 05 feffffffffffff7f"  # id: int64, 2^63 - 2
    "0100 05000000 746f706963 01 01000000 78"  # topic: "x"
    "0100 07000000 6f757474696d65 06 e803000000000000"  # outtime: a date, 1000 ms
    "0100 05000000 656d707479 00"  # empty: void
    "0100 03000000 726177 07 02000000 0fff"  # raw: bytes
    "0000"
)

TEXTS = st.text(max_size=20)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.none() | INTEGERS | TEXTS | st.binary(max_size=20) | st.builds(Date, INTEGERS)
SHORT = st.integers(-(2**15), 2**15 - 1)
INT = st.integers(-(2**31), 2**31 - 1)
FRAMES = st.builds(
    Frame,
    type=st.integers(0, 3),
    values=st.dictionaries(TEXTS, VALUES, max_size=5),
    code=st.none() | SHORT,
    phrase=st.none() | TEXTS,
    flag=st.none() | INT,
    token=st.none() | TEXTS,
)


def test_written_out_by_hand() -> None:
    assert encode(Frame(SEND, {KIND: PULL}, token="tok")) == PULLED
    assert decode(PULLED) == Frame(SEND, {KIND: PULL}, token="tok")
    assert decode(HANDED_OUT) == Frame(
        SEND,
        {KIND: DATA, "id": 2**63 - 2, "topic": "x", "outtime": Date(1000), "empty": None, "raw": b"\x0f\xff"},
    )


@given(FRAMES)
def test_there_and_back(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize("number", [0, 127, 128, -128, -129, 2**15 - 1, 2**15, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)])
def test_an_integer_takes_as_little_room_as_it_can(number: int) -> None:
    raw = encode(Frame(SEND, {"id": number}))
    bits = (len(raw) - len(encode(Frame(SEND, {"id": None})))) * 8
    assert -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)
    assert bits == 8 or not -(2 ** (bits // 2 - 1)) <= number < 2 ** (bits // 2 - 1)
    assert decode(raw).values["id"] == number


@given(SHORT, st.none() | TEXTS, st.sampled_from([None, "a-token"]))
@example(0, None, "t")
@example(0, "", None)
@example(0, "\x80", None)
def test_a_status_code_of_16_bits_is_read_too(code: int, phrase: str | None, token: str | None) -> None:
    """Which it is, shows in whether the frame comes out even."""
    frame = Frame(CONNECTACK, {"app_key": "1"}, code=code, phrase=phrase, token=token)
    assert decode(encode(frame, code_bits=16)) == frame
    assert decode(encode(frame, code_bits=32)) == frame


@given(st.binary(max_size=80) | st.tuples(st.binary(max_size=40), FRAMES).map(lambda both: encode(both[1]) + both[0]))
def test_any_bytes_are_a_frame_or_malformed(raw: bytes) -> None:
    try:
        frame = decode(raw)
    except Malformed:
        return
    assert decode(encode(frame)) == frame


@given(FRAMES, st.data())
def test_a_frame_that_is_cut_off_is_malformed(frame: Frame, data: st.DataObject) -> None:
    """But for the two that are there to be told apart: a code and nothing else, cut by two bytes, is one of 16 bits."""
    raw = encode(frame)
    cut = data.draw(st.integers(0, len(raw) - 1))
    try:
        short = decode(raw[:cut])
    except Malformed:
        return
    assert frame.code is not None
    assert encode(short, code_bits=16) == raw[:cut]


def test_what_no_client_would_send() -> None:
    for raw in (b"", b"\x02", b"\x01\x02\x00\x00", PULLED + b"\x00", bytes.fromhex("0202 0900 0000")):
        with pytest.raises(Malformed):
            decode(raw)
    for written in ("0202 0100 ffffffff", "0202 0100 01000000 78 08 0000", "0202 0500 02000000 c328 0000"):
        with pytest.raises(Malformed):
            decode(bytes.fromhex(written))
    assert (CONNECT, CONFIRM) == (0, 2)
