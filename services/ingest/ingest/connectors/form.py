"""A form body, byte for byte: signatures are made over a field's bytes, whatever they are."""

from urllib.parse import unquote_to_bytes

MAX_FIELDS = 100


def fields(body: bytes) -> dict[str, bytes]:
    """The fields of `application/x-www-form-urlencoded`; of a field given twice the first."""
    found: dict[str, bytes] = {}
    for pair in body.split(b"&", MAX_FIELDS)[:MAX_FIELDS]:
        name, _, value = pair.partition(b"=")
        found.setdefault(_plain(name).decode("latin-1"), _plain(value))
    return found


def _plain(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))
