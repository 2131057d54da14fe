"""What a message in Segment's form says of its person: who it is, under which names, and what is known of them."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Raw, Struct

from common.contracts.ingest import MAX_ATTRIBUTES, MAX_TAG_CHARS
from common.ids import MAX_ID_CHARS, derived_id
from ingest.connectors.values import UNPRINTABLE, any_label, identifier, moment
from ingest.domain.accept import is_phone_or_email

DIGITS = 20  # of a number that is told as a text
NEW_FOR = timedelta(days=1)  # so long after `createdAt` an identify tells of a new customer

Json = Mapping[str, Any]
Made = list[dict[str, Any]]  # events as senders write them, but for what all of a message have in common


class Who(Struct, frozen=True):
    """The customer, if known, and the browser."""

    user_id: str | None
    anonymous_id: str | None

    @property
    def named(self) -> dict[str, Any]:
        """How an event names the person. Beside an id, a browser that cannot be an id is left out."""
        browser = self.anonymous_id
        if browser is not None and self.user_id is not None and not is_plain(browser):
            browser = None
        told: dict[str, Any] = {} if self.user_id is None else {"subject": self.user_id}
        return told | ({} if browser is None else {"identities": {"anonymous": browser}})


class Message(Struct, frozen=True):
    """What mapping needs to know of a message."""

    id: str
    who: Who
    at: datetime
    currency: str  # the message's, else the shop's
    body: Json
    properties: Json
    traits: AbstractSet[str] = frozenset()  # names of those that may travel


def is_plain(id_: str) -> bool:
    """Whether it can be an id of ours."""
    return 0 < len(id_) <= MAX_ID_CHARS and UNPRINTABLE.search(id_) is None


def event(type_: str, data: Mapping[str, Any] | Raw, **more: Any) -> dict[str, Any]:
    """An event, without fields that say nothing."""
    if not isinstance(data, Raw):
        data = {name: value for name, value in data.items() if value is not None}
    return {"type": type_, "data": data} | more


def object_of(value: Any) -> Json:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def aliased(message: Message) -> Made:
    """The person had another id before: the one that is named, else the browser's. Empty where that is no news."""
    previous = identifier(message.body.get("previousId")) or message.who.anonymous_id
    if message.who.user_id is None or previous is None or previous == message.who.user_id:
        return []
    names = {**message.who.named.get("identities", {}), "previous": previous}
    return [event("customer.updated", {}, identities=names)]


def identified(message: Message) -> Made:
    """Told at every login; a customer whose account is new is registered, once."""
    changed = _facts("customer.updated", message)
    created = object_of(message.body.get("traits")).get("createdAt")
    created_at = moment(created)
    if created_at is None or abs(message.at - created_at) > NEW_FOR:
        return [changed]
    return [*registered(message), changed]


def registered(message: Message) -> Made:
    return [
        _facts("customer.registered", message)
        | {"id": derived_id("customer.registered", message.who.user_id or message.who.anonymous_id or "")}
    ]


def _facts(type_: str, message: Message) -> dict[str, Any]:
    """Traits, parted into what stays in the vault and the coarse facts that travel."""
    context = object_of(message.body.get("context"))
    traits = {**object_of(context.get("traits")), **object_of(message.body.get("traits"))}
    address = traits.get("address")
    place = object_of(address)
    facts = {
        "locale": _locale(traits.get("locale") or traits.get("language") or context.get("locale")),
        "country": any_label(place.get("country")) or any_label(traits.get("country")),
        "city": any_label(place.get("city")) or any_label(traits.get("city")),
        "attributes": _attributes(traits, message.traits) or None,
        "tags_added": _tags(traits.get("tags")) or None,
    }
    given = (traits.get("firstName") or traits.get("first_name"), traits.get("lastName") or traits.get("last_name"))
    lines = ("street", "city", "state", "postalCode", "postal_code", "country")
    written = (any_label(place.get(line)) for line in lines)
    personal = {
        "phone": identifier(traits.get("phone")),
        "email": identifier(traits.get("email")),
        "name": any_label(traits.get("name")) or " ".join(filter(None, map(any_label, given))) or None,
        "address": identifier(address) or ", ".join(filter(None, written)) or None,
    }
    known = {name: value for name, value in personal.items() if value is not None}
    return event(type_, facts, **({"personal": known} if known else {}))


def _attributes(traits: Json, travelling: AbstractSet[str]) -> dict[str, str | None]:
    """Those that may travel; null takes one away, and what cannot be one text is left out."""
    told = {name: _text(traits[name]) for name in sorted(travelling & traits.keys())}
    return {name: text for name, text in told.items() if text is not None or traits[name] is None}


def _text(value: Any) -> str | None:
    """A trait as a text; none for what is contact data after all, and for what has no end or parts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    exact = (
        f"{value:f}" if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < DIGITS else None
    )
    text = exact or any_label(value)
    return None if text is None or is_phone_or_email(text) else text


def _tags(said: Any) -> list[str]:
    """What is added: an identify does not say which others are no more."""
    texts = (_text(each) for each in said) if isinstance(said, list) else ()
    return list(dict.fromkeys(text[:MAX_TAG_CHARS] for text in texts if text is not None))[:MAX_ATTRIBUTES]


def _locale(said: Any) -> str | None:
    language = said[:2].lower() if isinstance(said, str) else ""
    return {"zh": "zh-CN", "en": "en"}.get(language)
