"""Whose something at Shopify is: customers, their addresses, and the names and contacts in orders and checkouts."""

from typing import Literal

from msgspec import Struct

from ingest.connectors.port import Origin
from ingest.connectors.shopify.form import Number, Options, id_of
from ingest.connectors.values import label
from ingest.domain.accept import Identities, Personal

Locale = Literal["zh-CN", "en"]

LOCALES: tuple[tuple[str, Locale], ...] = (("zh", "zh-CN"), ("en", "en"))


class Address(Struct, frozen=True):
    """A bill's, or where a parcel goes."""

    first_name: str | None = None
    last_name: str | None = None
    address1: str | None = None
    address2: str | None = None
    zip: str | None = None
    city: str | None = None
    province: str | None = None
    country: str | None = None
    country_code: str | None = None
    phone: str | None = None


class Consent(Struct, frozen=True):
    """Whether advertising is allowed on one channel."""

    state: str | None = None
    opt_in_level: str | None = None
    consent_updated_at: str | None = None
    consent_collected_from: str | None = None


class Customer(Struct, frozen=True):
    """A customer, of its own webhook or within an order."""

    id: Number = None
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    default_address: Address | None = None
    email_marketing_consent: Consent | None = None
    sms_marketing_consent: Consent | None = None
    accepts_marketing: bool | None = None  # of e-mail, in versions of the API before 2023
    accepts_marketing_updated_at: str | None = None


class Bought(Struct, frozen=True):
    """What orders and checkouts say of who bought."""

    cart_token: str | None = None
    email: str | None = None
    phone: str | None = None
    customer: Customer | None = None
    customer_locale: str | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None


def buyer(origin: Origin[Options], number: Number) -> str | None:
    """A customer's number, as it is told."""
    return f"{origin.options.customers}:{said}" if (said := id_of(number)) is not None else None


def cart_name(origin: Origin[Options], token: str | None) -> str | None:
    """Whoever is behind a cart: its token is all that the cart says of anybody."""
    token = (token or "").strip()
    return f"{origin.options.customers}-cart:{token}" if token else None


def names(buyer: str | None, anonymous: str | None = None) -> Identities | None:
    """The names there are, if any."""
    return Identities(buyer=buyer, anonymous=anonymous) if buyer or anonymous else None


def names_in(bought: Bought, origin: Origin[Options]) -> Identities | None:
    """The customer and the cart of an order or checkout: so whoever was behind the cart is known from then on."""
    return names(buyer(origin, bought.customer.id) if bought.customer else None, cart_name(origin, bought.cart_token))


def personal_in(bought: Bought) -> Personal | None:
    """Contacts of who pays, and the address that the parcel goes to. Phone and name beside that address are not taken:
    they are those of whom it is a present for, or of a neighbour."""
    bill, to = bought.billing_address or Address(), bought.shipping_address or bought.billing_address
    of = bought.customer or Customer()
    told = Personal(
        phone=label(bought.phone) or label(of.phone) or label(bill.phone),
        email=label(bought.email) or label(of.email),
        name=label(of.first_name, of.last_name) or label(bill.first_name, bill.last_name),
        address=_written(to) or _written(of.default_address),
    )
    return told if told != Personal() else None


def personal_of(customer: Customer) -> Personal | None:
    """What a customer's record tells."""
    told = Personal(
        phone=label(customer.phone),
        email=label(customer.email),
        name=label(customer.first_name, customer.last_name),
        address=_written(customer.default_address),
    )
    return told if told != Personal() else None


def locale_of(tag: str | None) -> Locale | None:
    """The language among those that people are written to in, if it is one of them."""
    said = (tag or "").lower()
    return next((ours for theirs, ours in LOCALES if said.partition("-")[0] == theirs), None)


def country_of(address: Address | None) -> str | None:
    """Its code where there is one."""
    return label(address.country_code) or label(address.country) if address else None


def city_of(address: Address | None) -> str | None:
    """The city."""
    return label(address.city) if address else None


def _written(address: Address | None) -> str | None:
    if address is None:
        return None
    return label(address.address1, address.address2, address.zip, address.city, address.province, address.country)
