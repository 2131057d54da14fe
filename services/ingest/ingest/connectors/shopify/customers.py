"""Shopify's customers: registered and changed, what they allow on which channel, and what privacy law asks for them."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from common.contracts import ingest
from common.contracts.ingest import Channel
from common.ids import derived_id
from ingest.connectors.port import Converted, Delivery, Ignored, Origin, PrivacyRequest, decode, event
from ingest.connectors.reading import required, time_of
from ingest.connectors.shopify.form import Number, Options, header, id_of
from ingest.connectors.shopify.people import (
    Consent,
    Customer,
    buyer,
    city_of,
    country_of,
    locale_of,
    names,
    personal_of,
)
from ingest.domain.accept import Identity, Personal

CREATED = "customers/create"
VIA = "shopify"
SAYS_NO = ("unsubscribed", "redacted", "invalid")
NOT_YET = ("not_subscribed", "pending")  # a no only if somebody once said it: else nobody was asked


class ConsentNews(Struct, frozen=True):
    """What a customer allows on one channel. Two topics name the customer in two ways."""

    id: Number = None
    customer_id: Number = None
    phone: str | None = None
    email_address: str | None = None
    email_marketing_consent: Consent | None = None
    sms_marketing_consent: Consent | None = None


class Person(Struct, frozen=True):
    """A customer as privacy topics name them."""

    id: Number = None
    email: str | None = None
    phone: str | None = None


class DataRequest(Struct, frozen=True):
    """The number of somebody's wish to see what is kept."""

    id: Number = None


class Privacy(Struct, frozen=True):
    """The body of the three privacy topics."""

    customer: Person | None = None
    orders_to_redact: tuple[Number, ...] = ()
    data_request: DataRequest | None = None


_CUSTOMER, _CONSENT = msgspec.json.Decoder(Customer), msgspec.json.Decoder(ConsentNews)
_PRIVACY = msgspec.json.Decoder(Privacy)


def customer(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """A customer's record, and what it says they allow. One from before the connection is not told as new."""
    told = decode(_CUSTOMER, delivery.body)
    number = required(id_of(told.id), "$.id")
    identities, personal, home = names(buyer(origin, number)), personal_of(told), told.default_address
    facts = locale_of(told.locale), country_of(home), city_of(home)
    created_at = time_of(told.created_at, "$.created_at")
    updated_at = time_of(told.updated_at, "$.updated_at")
    cause: tuple[str, ...] = ("customer", number, "registered")
    made = []
    if header(delivery, "topic") == CREATED:
        made.append(event(origin, cause, None, created_at, ingest.CustomerRegistered(*facts), personal, identities))
    else:
        cause = ("customer", number, "updated", updated_at.isoformat() if updated_at else "")
        made.append(event(origin, cause, None, updated_at, ingest.CustomerUpdated(*facts), personal, identities))
    channels: tuple[tuple[Channel, Consent | None], ...] = (
        ("email", told.email_marketing_consent or _before_2023(told)),
        ("sms", told.sms_marketing_consent),
    )
    made += [each for channel, said in channels for each in _consent(origin, number, channel, said, None, None)]
    return Converted(tuple(made))


def consent(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What a customer allows from now on."""
    told = decode(_CONSENT, delivery.body)
    number = required(id_of(told.id if told.id is not None else told.customer_id), "$.customer_id")
    made = (
        *_consent(origin, number, "email", told.email_marketing_consent, told.email_address, None),
        *_consent(origin, number, "sms", told.sms_marketing_consent, None, told.phone),
    )
    return Converted(made) if made else Ignored("nobody was asked")


def privacy(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What Shopify has to pass on by law: show somebody all that is kept of them, forget them, forget the shop."""
    told = decode(_PRIVACY, delivery.body)
    topic = header(delivery, "topic")
    who = told.customer or Person()
    named = [
        ("buyer", buyer(origin, who.id)),
        ("email", (who.email or "").strip()),
        ("phone", (who.phone or "").strip()),
        *(("order", required(id_of(order), "$.orders_to_redact")) for order in told.orders_to_redact),
    ]
    kind: Literal["export", "erase", "erase_shop"] = "export"
    if topic != "customers/data_request":
        kind = "erase" if topic == "customers/redact" else "erase_shop"
    identities = tuple(Identity(kind, value) for kind, value in named if value) if kind != "erase_shop" else ()
    if kind != "erase_shop" and not identities:
        return Ignored("names nobody")
    return Converted(requests=(PrivacyRequest(kind, identities, _reference(topic, told, delivery)),))


def _reference(topic: str, told: Privacy, delivery: Delivery) -> str:
    """The same at every try of one request, another for the next: its number, else Shopify's for the event, else what
    was said."""
    if told.data_request is not None and told.data_request.id is not None:
        return f"{topic}:{told.data_request.id}"
    told_id = header(delivery, "event-id") or header(delivery, "webhook-id")
    return f"{topic}:{told_id or derived_id(delivery.body.decode(errors='replace'))}"


def _consent(
    origin: Origin[Options],
    number: str,
    channel: Channel,
    said: Consent | None,
    email: str | None,
    phone: str | None,
) -> Iterator[bytes]:
    if said is None or said.state is None:
        return
    granted = said.state == "subscribed"
    if not granted and said.state not in SAYS_NO and not (said.state in NOT_YET and said.consent_updated_at):
        return
    at = time_of(said.consent_updated_at, f"$.{channel}_marketing_consent.consent_updated_at")
    data = ingest.ConsentChanged(channel, "marketing", granted, VIA)
    proof = msgspec.json.encode({"customer": number, "channel": channel, "said": said}).decode()
    personal = Personal(email=email or None, phone=phone or None, consent_proof=proof)
    cause = ("customer", number, "consent", channel, said.state, at.isoformat() if at else "")
    yield event(origin, cause, None, at, data, personal, names(buyer(origin, number)))


def _before_2023(told: Customer) -> Consent | None:
    """E-mail was all that could be allowed, and only a change of it is known to be somebody's word."""
    if told.accepts_marketing is None or told.accepts_marketing_updated_at is None:
        return None
    state = "subscribed" if told.accepts_marketing else "unsubscribed"
    return Consent(state, consent_updated_at=told.accepts_marketing_updated_at)
