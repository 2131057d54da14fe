"""Templates: what they say, and how a fault in one is told."""

from pathlib import Path

import pytest

from common.contracts.journeys import MessageRequested
from notifier.domain.money import write_money
from notifier.domain.render import Text, Unrenderable
from notifier.wording import TemplatesRefused, load, packaged

ORDER: dict[str, str | int] = {"order_id": "o1", "amount_minor": 125_050, "currency": "CNY"}


@pytest.mark.parametrize(
    ("amount_minor", "currency", "written"),
    [
        (1250, "CNY", "¥12.50"),
        (5, "CNY", "¥0.05"),
        (0, "BRL", "R$0.00"),
        (123_456_789, "USD", "$1,234,567.89"),
        (1250, "JPY", "¥1,250"),
        (1250, "CHF", "12.50 CHF"),
        (1250, "KWD", "1.250 KWD"),
        (-1250, "EUR", "-€12.50"),
    ],
)
def test_money(amount_minor: int, currency: str, written: str) -> None:
    assert write_money(amount_minor, currency) == written


def test_the_reminder_names_order_and_amount() -> None:
    assert packaged().render("en", "payment_reminder_1h", ORDER, "Regulars") == Text(
        None,
        "Order o1 (¥1,250.50) is not paid yet. We are holding your items and ship once it is paid. "
        "Already paid? Please ignore this.",
    )
    chinese = packaged().render("zh-CN", "payment_reminder_5m", ORDER, "Regulars")
    assert "o1" in chinese.body
    assert "¥1,250.50" in chinese.body


def test_the_gift_is_five_yuan_in_chinese_and_no_sum_elsewhere() -> None:
    chinese = packaged().render("zh-CN", "gift_30d", {}, "小店")
    assert chinese.subject == "送您一张5元无门槛优惠券"
    assert "5元优惠券" in chinese.body
    english = packaged().render("en", "gift_30d", {}, "The Shop")
    assert english.subject == "A small gift to say thank you"
    assert "small gift" in english.body
    assert not any(character.isdigit() for character in english.body)


def test_a_name_is_used_only_where_it_is_given() -> None:
    assert packaged().render("zh-CN", "gift_30d", {}, "小店", "李雷").body.startswith("李雷，您好！\n")
    assert packaged().render("zh-CN", "gift_30d", {}, "小店").body.startswith("您好！\n")
    # A request cannot smuggle one in: what the house knows goes before parameters.
    assert packaged().render("zh-CN", "gift_30d", {"name": "李雷"}, "小店").body.startswith("您好！\n")


@pytest.mark.parametrize("template", ["payment_reminder_1h", "payment_reminder_24h", "dispatch_notice"])
def test_a_chinese_sms_is_one_part(template: str) -> None:
    """With a signature of four characters in brackets, an order id of sixteen and an amount in the thousands."""
    order: dict[str, str | int] = {"order_id": "2026050112345678", "amount_minor": 125_050, "currency": "CNY"}
    assert len(packaged().render("zh-CN", template, order, "我的小店").body) + len("【我的小店】") <= 70


def test_an_undefined_variable_is_an_error() -> None:
    with pytest.raises(Unrenderable, match="'order_id' is undefined"):
        packaged().render("en", "dispatch_notice", {}, "Regulars")
    with pytest.raises(Unrenderable, match="'currency' is undefined"):
        packaged().render("en", "payment_reminder_1h", {"order_id": "o1", "amount_minor": 1}, "Regulars")
    with pytest.raises(Unrenderable, match="money takes an integer"):
        packaged().render("en", "payment_reminder_1h", {**ORDER, "amount_minor": "12.5"}, "Regulars")
    with pytest.raises(Unrenderable, match="no template 'gone' in en"):
        packaged().render("en", "gone", {}, "Regulars")


def test_check_says_why_or_nothing() -> None:
    def asked(template: str, params: dict[str, str | int]) -> MessageRequested:
        return MessageRequested("k", "j", "s", "in_app", "transactional", template, params)

    assert packaged().check(asked("payment_reminder_5m", ORDER)) is None
    assert packaged().check(asked("payment_reminder_5m", {})) == (
        "en/payment_reminder_5m.liquid: 'order_id' is undefined"
    )


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("{{ a | money: c }}", {"a": 1, "c": "CNY"}, {"a": "1", "c": "CNY"}),
        ("{{ a | money: c }}", {"a": 1, "c": "CNY"}, {"a": 1}),
        ("{% if a > 1 %}{{ b }}{% endif %}no", {"a": 1}, {"a": 2}),
        ("{{ 10 | divided_by: a }}", {"a": 1}, {"a": 0}),
    ],
)
def test_a_verdict_is_never_that_of_other_parameters(
    tmp_path: Path, text: str, good: dict[str, str | int], bad: dict[str, str | int]
) -> None:
    """Whether it is remembered or not: in both orders, and twice."""

    def fails(folder: str, params: dict[str, str | int]) -> bool:
        request = MessageRequested("k", "j", "s", "in_app", "transactional", "t", params)
        return wordings[folder].check(request) is not None

    wordings = {name: load(write(tmp_path / name, {"en/t.liquid": text})) for name in ("one", "two")}
    assert [fails("one", params) for params in (good, bad, good, bad)] == [False, True, False, True]
    assert [fails("two", params) for params in (bad, good, bad, good)] == [True, False, True, False]


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_every_fault_is_told_with_file_and_line(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "en/a.liquid": "one\ntwo\n{{ x | nothing_like_it }}\n",
            "en/b.liquid": "subject: Hello {{ x\nfine\n",
            "en/c.liquid": "subject: Hello\n\n{% if %}\n",
            "en/d.liquid": "\n",
            "en/e.liquid": "{% include 'a' %}",
            "en/f.liquid": "fine\n{{ 'now' | date: '%Y' }}",
        },
    )
    with pytest.raises(TemplatesRefused) as refused:
        load(folder)
    lines = str(refused.value).split("\n")
    assert [line.split(" ")[0] for line in lines] == [
        "en/a.liquid:3:",
        "en/b.liquid:1:",
        "en/c.liquid:3:",
        "en/d.liquid:1:",
        "en/e.liquid:1:",
        "en/f.liquid:2:",
    ]


def test_a_template_is_in_every_language(tmp_path: Path) -> None:
    folder = write(tmp_path, {"en/a.liquid": "hello", "zh-CN/a.liquid": "你好", "zh-CN/b.liquid": "你好"})
    with pytest.raises(TemplatesRefused, match=r"^en/b\.liquid:1: is missing$"):
        load(folder)


def test_a_subject_is_one_line(tmp_path: Path) -> None:
    words = load(write(tmp_path, {"en/a.liquid": "subject: For {{ who }}\n\nBody {{ who }}\n"}))
    assert words.render("en", "a", {"who": "a\r\nBcc: b"}, "shop") == Text("For a Bcc: b", "Body a\r\nBcc: b")
