"""Whether something that was kept whole speaks of a person, in every form that senders have."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest

from ingest.privacy.mentions import Traits, mentions, traits

PERSON = traits(
    [
        ("phone", "+86 139-0571-8888"),
        ("email", "Wang.Fang@example.com"),
        ("name", "王小芳"),
        ("address", "杭州市文三路九十号\n3 幢"),
        ("review_text:e1", "口罩有点小\n还会再来"),
    ]
)
LATIN = traits([("name", "Anna de Groot"), ("address", "12 Main Street"), ("id", "c1")])


def delivery(body: bytes) -> bytes:
    return json.dumps({"body": b64encode(body).decode(), "headers": {}, "query": {}}).encode()


@pytest.mark.parametrize(
    "said",
    [
        {"phone": "13905718888"},
        {"phone": 13905718888},
        {"phone": "(+86) 139 0571 8888"},
        {"phone": "１３９０５７１８８８８"},
        {"a": [{"b": {"c": "wang.fang@EXAMPLE.com"}}]},
        {"note": "送到王小芳家"},
        {"address": "杭州市文三路九十号 3 幢"},
        {"text": "口罩有点小 还会再来，真的"},
        {"13905718888": 1},
    ],
)
def test_it_is_found(said: Any) -> None:
    plain, escaped = json.dumps(said, ensure_ascii=False).encode(), json.dumps(said).encode()
    for body in (plain, escaped, plain[:-1], escaped[:-1]):
        inside = json.dumps({"param": body.decode()}).encode()
        for form in (body, delivery(body), delivery(urlencode({"sign": "x", "param": body}).encode()), inside):
            assert mentions(form, PERSON), form
    assert mentions(plain.decode().encode("gb18030"), PERSON)


def test_a_latin_name_is_found_word_by_word() -> None:
    assert mentions(b'{"first_name": "Anna", "last_name": "de Groot"}', LATIN)
    assert mentions(b'{"name": "GROOT, anna DE"}', LATIN)
    assert mentions(b'{"to": "12 Main  Street, Springfield"}', LATIN)
    assert not mentions(b'{"first_name": "Annabel", "last_name": "de Groot"}', LATIN)
    assert not mentions(b'{"first_name": "Anna", "last_name": "Groot"}', LATIN)
    assert not mentions(b'{"id": "c1"}', LATIN)  # an id is nothing that the vault keeps


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b'{"phone": "13905718889", "email": "ang.fang@example.co", "name": "\xe7\x8e\x8b"}',
        b"[" * 5_000,
        b64encode(b64encode(b64encode(b"nothing in here at all, whoever looks"))),
    ],
)
def test_others_are_not(body: bytes) -> None:
    assert not mentions(body, PERSON)


def test_what_says_too_little_is_not_looked_for() -> None:
    assert traits([("phone", "110"), ("email", "nobody"), ("name", "Li"), ("address", "?"), ("order", "1")]) == Traits()
    assert not mentions(b'{"name": "Li", "phone": "110"}', Traits())
