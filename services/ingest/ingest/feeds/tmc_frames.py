"""TMC's frames, to bytes and from bytes: little-endian, a version, a type, headers until there are no more.

The headers' numbers and the values' formats are those of the public clients. Those disagree about the status code: it
is written with 16 bits and read with 32. So it is read with 32; where that gives no frame, or a code that no 16 bits
hold (the next header's number stands in it then), with 16.
"""

import struct
from collections.abc import Mapping
from struct import Struct as Layout
from types import MappingProxyType

from msgspec import Struct

from ingest.feeds.port import Malformed

VERSION = 2
CONNECT, CONNECTACK, SEND, SENDACK = range(4)  # types
PULL, CONFIRM, DATA, FAILED = 1, 2, 3, 20  # kinds, under this name among the values:
KIND = "__kind"

CODE_LIMIT = 2**15

_END, _CUSTOM, _CODE, _PHRASE, _FLAG, _TOKEN = range(6)
_VOID, _TEXT, _INT8, _INT16, _INT32, _INT64, _DATE, _BYTES = range(8)
_LAYOUTS = {_INT8: Layout("<b"), _INT16: Layout("<h"), _INT32: Layout("<i"), _INT64: Layout("<q")}
_SHORT, _INT, _LONG = _LAYOUTS[_INT16], _LAYOUTS[_INT32], _LAYOUTS[_INT64]
_HEAD = Layout("<bb")


class Date(Struct, frozen=True):
    """A moment, in milliseconds since 1970."""

    ms: int


Value = None | int | str | bytes | Date


class Frame(Struct, frozen=True):
    """One frame. `values` are what it says by name."""

    type: int
    values: Mapping[str, Value] = MappingProxyType({})
    code: int | None = None
    phrase: str | None = None
    flag: int | None = None
    token: str | None = None


def encode(frame: Frame, code_bits: int = 32) -> bytes:
    """The frame's bytes. An integer takes as little room as it can."""
    parts = [_HEAD.pack(VERSION, frame.type)]
    if frame.code is not None:
        parts += [_SHORT.pack(_CODE), (_INT if code_bits == _INT.size * 8 else _SHORT).pack(frame.code)]
    if frame.phrase is not None:
        parts += [_SHORT.pack(_PHRASE), _counted(frame.phrase.encode())]
    if frame.flag is not None:
        parts += [_SHORT.pack(_FLAG), _INT.pack(frame.flag)]
    if frame.token is not None:
        parts += [_SHORT.pack(_TOKEN), _counted(frame.token.encode())]
    for name, value in frame.values.items():
        parts += [_SHORT.pack(_CUSTOM), _counted(name.encode()), _valued(value)]
    return b"".join((*parts, _SHORT.pack(_END)))


def _counted(raw: bytes) -> bytes:
    return _INT.pack(len(raw)) + raw


def _valued(value: Value) -> bytes:
    match value:
        case None:
            return bytes((_VOID,))
        case str():
            return bytes((_TEXT,)) + _counted(value.encode())
        case bytes():
            return bytes((_BYTES,)) + _counted(value)
        case Date(ms):
            return bytes((_DATE,)) + _LONG.pack(ms)
        case _:
            kind = next(k for k in _LAYOUTS if k == _INT64 or -(1 << (b := _LAYOUTS[k].size * 8 - 1)) <= value < 1 << b)
            return bytes((kind,)) + _LAYOUTS[kind].pack(value)


def decode(raw: bytes) -> Frame:
    """The frame. Raises Malformed."""
    try:
        wide = _Reader(raw, _INT).frame()
    except Malformed:
        return _Reader(raw, _SHORT).frame()
    if wide.code is None or -CODE_LIMIT <= wide.code < CODE_LIMIT:
        return wide
    try:
        return _Reader(raw, _SHORT).frame()
    except Malformed:
        return wide


class _Reader:
    """Reads one frame from front to back; `code` is how wide its status code is."""

    def __init__(self, raw: bytes, code: Layout) -> None:
        self._raw, self._code, self._at = raw, code, 0

    def frame(self) -> Frame:
        version, type_ = self._unpacked(_HEAD)
        if version != VERSION:
            raise Malformed("another version of the protocol")
        values: dict[str, Value] = {}
        code = phrase = flag = token = None
        while (header := self._number(_SHORT)) != _END:
            match header:
                case 1:  # _CUSTOM
                    name = self._text()
                    values[name] = self._value()
                case 2:  # _CODE
                    code = self._number(self._code)
                case 3:  # _PHRASE
                    phrase = self._text()
                case 4:  # _FLAG
                    flag = self._number(_INT)
                case 5:  # _TOKEN
                    token = self._text()
                case _:
                    raise Malformed("a header of no known number")
        if self._at != len(self._raw):
            raise Malformed("more than a frame")
        return Frame(type_, values, code, phrase, flag, token)

    def _value(self) -> Value:
        kind = self._bytes(1)[0]
        if kind in _LAYOUTS:
            return self._number(_LAYOUTS[kind])
        match kind:
            case 0:  # _VOID
                return None
            case 1:  # _TEXT
                return self._text()
            case 6:  # _DATE
                return Date(self._number(_LONG))
            case 7:  # _BYTES
                return self._bytes(self._number(_INT))
            case _:
                raise Malformed("a value of no known format")

    def _text(self) -> str:
        try:
            return self._bytes(self._number(_INT)).decode()
        except UnicodeDecodeError:
            raise Malformed("not UTF-8") from None

    def _bytes(self, size: int) -> bytes:
        if not 0 <= size <= len(self._raw) - self._at:
            raise Malformed("cut off")
        self._at += size
        return self._raw[self._at - size : self._at]

    def _number(self, layout: Layout) -> int:
        return int(self._unpacked(layout)[0])

    def _unpacked(self, layout: Layout) -> tuple[int, ...]:
        try:
            found: tuple[int, ...] = layout.unpack_from(self._raw, self._at)
        except struct.error:
            raise Malformed("cut off") from None
        self._at += layout.size
        return found
