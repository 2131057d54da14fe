"""Names: in which form they are compared, which tell nothing about anybody, and which rules are faulty."""

import msgspec
import pytest

from common.contracts.envelope import Rejection
from common.presets import BadPresets
from common.shops import Shop
from ingest.domain.accept import Accepted, accept
from ingest.domain.identity import KINDS, masked, normal
from ingest.domain.linking import Name
from ingest.people import rules as identity_rules
from ingest.people.naming import Naming
from ingest.vault import Vault
from tests.ingest.flushing import NOW

RULES = identity_rules.load()
SOUND = "kinds: {id: {merges: true}, card: {merges: true}, buyer: {merges: true}, open_id: {merges: true}, "
SOUND += "phone: {merges: false}, email: {merges: true}, anonymous: {merges: weaker}, order: {merges: weaker}}\n"


@pytest.mark.parametrize(
    ("said", "region", "plain"),
    [
        ("13800138000", "CN", "+8613800138000"),
        ("+86 138-0013-8000", None, "+8613800138000"),
        ("0086 138 0013 8000", "CN", "+8613800138000"),
        ("\uff11\uff13\uff18\uff10\uff10\uff11\uff13\uff18\uff10\uff10\uff10", "CN", "+8613800138000"),  # full-width
        ("0171 1234567", "DE", "+491711234567"),
        ("+55 (11) 98765-4321", "CN", "+5511987654321"),
        ("13800138000", None, None),  # nobody knows where
        ("138****8000", "CN", None),
        ("1380013", "CN", None),
        ("(555) 555-0100", "US", None),  # no such area
        ("+1 650 253 0000 ext. 12", "US", None),  # a switchboard's
        ("not given", "CN", None),
    ],
)
def test_a_phone_number(said: str, region: str | None, plain: str | None) -> None:
    assert normal("phone", said, RULES, region) == plain


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        (" Jo.Doe@GMail.com ", "jo.doe@gmail.com"),
        ("STRASSE@b\u00fccher.de", "strasse@b\u00fccher.de"),
        ("guest@shop.de", None),
        ("NoReply@shop.de", None),
        ("jo@example.com", None),
        ("jo@mail.example.com", None),
        ("jo@notexample.com", "jo@notexample.com"),
        ("x7h@marketplace.amazon.com", None),
        ("j***@gmail.com", None),
        ("jo", None),
        ("jo@localhost", None),
        ("a" * 65 + "@gmail.com", None),
    ],
)
def test_an_email_address(said: str, plain: str | None) -> None:
    assert normal("email", said, RULES, "CN") == plain


def test_other_names_are_taken_as_they_are_but_for_what_says_nothing() -> None:
    for kind in ("card", "buyer", "open_id", "anonymous"):
        assert normal(kind, "aB-1", RULES, None) == "aB-1"
        assert normal(kind, "Undefined", RULES, None) is None
        assert normal(kind, "taobao:0", RULES, None) is None
        assert normal(kind, "taobao:\u5f20**", RULES, None) is None
    assert normal("id", "guest", RULES, None) == "guest"
    assert normal("order", "0", RULES, None) == "0"


def test_masks() -> None:
    assert masked("phone", "+8613800138000") == "+86138****8000"
    assert masked("phone", "+4917112") == "****12"
    assert masked("email", "li.lei@gmail.com") == "l***@gmail.com"


def test_shared_numbers_of_a_shop() -> None:
    rules = identity_rules.parse(SOUND + 'never: {phones: ["+8657188889999"], email_domains: [Relay.io]}')
    assert not isinstance(rules, tuple)
    assert normal("phone", "0571 8888 9999", rules, "CN") is None
    assert normal("email", "a@x.relay.io", rules, "CN") is None
    assert normal("email", "a@example.com", rules, "CN") == "a@example.com"
    assert (rules.kinds["phone"].merges, rules.kinds["id"].per_person) == ("none", None)
    assert tuple(rules.kinds) == KINDS


def test_every_fault_of_a_preset_is_told_with_its_path() -> None:
    faults = identity_rules.parse(
        "kinds: {id: {merges: weaker}, card: {merges: perhaps}, buyer: {merges: true, per_person: 0}, "
        "open_id: {merges: true, per_valeu: 3}, phone: {}, email: {merges: true, per_value: many}, "
        "anonymous: {merges: weaker}, order: {merges: true}}\nnever: {phones: [110, '12345'], words: []}"
    )
    assert isinstance(faults, tuple)
    assert {fault.path for fault in faults} == {
        "$.kinds.id.merges", "$.kinds.card.merges.bool", "$.kinds.card.merges.literal['weaker']",
        "$.kinds.buyer.per_person", "$.kinds.open_id.per_valeu", "$.kinds.phone.merges", "$.kinds.email.per_value",
        "$.kinds.order.merges", "$.never.phones[0]", "$.never.words",
    }  # fmt: skip
    numbers = identity_rules.parse(SOUND + 'never: {phones: ["12345", "+8657188889999", "+86 571 88889999"]}')
    reason = "numbers [0, 2], counted from 0, are not such as +8657188889999"
    assert numbers == (Rejection("$.never.phones", reason),)
    (fault,) = identity_rules.parse("kinds: [")  # type: ignore[misc]
    assert fault.path == "$"


def test_a_faulty_preset_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_rules, "parse", lambda _text: (Rejection("$.kinds", "missing"),))
    with pytest.raises(BadPresets, match=r"^ingest/people/identity.yaml: \$.kinds: missing$"):
        identity_rules.load()


NAMING = Naming(Vault(b"m" * 32, index_key=b"i" * 32), RULES, {"shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN")})


def called(**names: str) -> str:
    """What somebody is called of whom an event gives these names."""
    personal = {kind: names.pop(kind) for kind in ("phone", "email") if kind in names}
    order = {"order_id": names.pop("order")} if "order" in names else {"order_id": "o-none"}
    told = {"id": "e1", "type": "order.cancelled", "data": order, "personal": personal, "identities": names}
    accepted = accept(msgspec.json.encode(told), "shop", "CNY", NOW, historic=False)
    assert isinstance(accepted, Accepted), accepted
    return NAMING.named(accepted, NOW).fallback


def test_what_a_new_person_is_called() -> None:
    phone, order = called(phone="13800138000"), called(order="o1")
    assert called(buyer="shopify:1", card="c", open_id="w", anonymous="a", phone="13800138000") == "shopify:1"
    assert called(card="c", open_id="w", anonymous="a") == "card:c"  # a number of its own, not the shop's customer's
    assert called(open_id="w", anonymous="a") == "w"
    assert called(anonymous="a", phone="13800138000") == "a"
    assert called(phone="+86 138 0013 8000", email="jo@gmail.com") == phone
    assert phone.startswith("p_")
    assert called(email="jo@gmail.com") == called(email="JO@gmail.com") != phone
    assert order.startswith("order:")
    # Masked and shared values name nobody.
    assert called(buyer="taobao:\u5f20**", phone="138****8000", email="guest@x.de", order="o1") == order


def test_an_id_never_shows_contact_data() -> None:
    for name in ({"card": "13800138000"}, {"anonymous": "jo@gmail.com"}, {"buyer": "taobao:+8613800138000"}):
        assert called(**name).startswith("p_")
        kind, value = next(iter(name.items()))
        kept = NAMING.name("shop", kind, value)
        assert kept is not None
        assert value not in kept.value
    assert NAMING.name("shop", "previous", "u0") == Name("id", "u0")
    phone = NAMING.name("shop", "phone", "13800138000")
    assert phone == NAMING.name("shop", "phone", "+86 138 0013 8000") != NAMING.name("other", "phone", "+8613800138000")
