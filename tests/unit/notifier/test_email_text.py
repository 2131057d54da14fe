"""An e-mail on the wire."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from notifier.channels.email_text import BadAddress, compose
from notifier.channels.port import Outgoing
from notifier.domain.render import Text

MESSAGE = Outgoing(
    shop_id="shop",
    customer_id="ann",
    message_key="gift_30d:o1:gift",
    channel="email",
    to="ann@example.com",
    name="安",
    text=Text("礼物 <1>", "安，您好！\n\n第一行\n<b>第二行</b>"),
    kept=Text("礼物 <1>", "您好！"),
    locale="zh-CN",
    at=datetime(2026, 5, 1, 12, tzinfo=UTC),
)
FROM = "小店 <shop@shop.example>"


def test_headers() -> None:
    letter = compose(MESSAGE, FROM)
    assert letter["From"] == "小店 <shop@shop.example>"
    assert letter["To"] == "安 <ann@example.com>"
    assert letter["Subject"] == "礼物 <1>"
    assert letter["Date"] == "Fri, 01 May 2026 12:00:00 +0000"
    assert all(byte < 128 for byte in letter.as_bytes())


def test_the_message_id_is_the_keys() -> None:
    first = compose(MESSAGE, FROM)["Message-ID"]
    assert first.endswith("@shop.example>")
    later = replace(MESSAGE, at=datetime(2027, 1, 1, tzinfo=UTC), text=Text("x", "y"))
    assert compose(later, FROM)["Message-ID"] == first
    for other in (
        replace(MESSAGE, message_key="gift_30d:o2:gift"),
        replace(MESSAGE, customer_id="bob"),
        replace(MESSAGE, shop_id="other"),
    ):
        assert compose(other, FROM)["Message-ID"] != first


def test_text_and_tables_say_the_same() -> None:
    text, html = compose(MESSAGE, FROM).iter_parts()
    assert text.get_content().replace("\r\n", "\n") == "安，您好！\n\n第一行\n<b>第二行</b>\n"
    markup = html.get_content()
    assert "第一行<br>&lt;b&gt;第二行&lt;/b&gt;" in markup
    assert "礼物 &lt;1&gt;" in markup
    assert "<table" in markup
    assert "<div" not in markup
    assert "style" not in markup


@pytest.mark.parametrize(
    "address", ["", "nobody", "a b@example.com", "a@b\r\nBcc: c@d", "a@b, c@d", "<a@b>", "@", "a@"]
)
def test_a_bad_address(address: str) -> None:
    with pytest.raises(BadAddress):
        compose(replace(MESSAGE, to=address), FROM)


def test_a_name_cannot_add_a_header() -> None:
    letter = compose(replace(MESSAGE, name="Ann\r\nBcc: eve@example.com"), FROM)
    assert letter["Bcc"] is None
    assert letter["To"].addresses[0].addr_spec == "ann@example.com"
