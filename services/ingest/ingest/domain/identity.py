"""The names that people go by: which of them tell who somebody is, in the one form that they are compared in."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

import phonenumbers
from msgspec import Struct
from phonenumbers import PhoneNumber, PhoneNumberFormat

from ingest.domain.accept import is_phone_or_email

# From the strongest to the weakest: of two people who turn out to be one, who is known by the stronger name lives on.
Kind = Literal["id", "card", "buyer", "open_id", "phone", "email", "anonymous", "order"]
KINDS: tuple[Kind, ...] = ("id", "card", "buyer", "open_id", "phone", "email", "anonymous", "order")
STRENGTH: Mapping[str, int] = {kind: place for place, kind in enumerate(KINDS)}  # lower is stronger
CONTACTS = ("phone", "email")  # kept as blind indexes alone
SENDERS_OWN = ("id", "order")  # given by the shop on purpose: nothing stands in for a missing one

MASK = "*"
MAX_EMAIL_CHARS = 254  # RFC 5321, 4.5.3.1.3
EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")

Merges = Literal["all", "weaker", "none"]


class KindRule(Struct, frozen=True):
    """What one kind of name may do. `weaker`: it brings two people together only where one of them is known by nothing
    stronger. Without a limit there is none."""

    merges: Merges
    per_person: int | None = None  # names of this kind that one person may have
    per_value: int | None = None  # times that one value may bring two people together


class Rules(Struct, frozen=True):
    """Which names count, and what they may do."""

    kinds: Mapping[str, KindRule]
    never: frozenset[str] = frozenset()  # values of all kinds but contacts, case-folded
    phones: frozenset[str] = frozenset()  # E.164
    email_names: frozenset[str] = frozenset()  # what stands before the @
    email_domains: frozenset[str] = frozenset()  # and all below them


def normal(kind: str, value: str, rules: Rules, region: str | None) -> str | None:
    """The value in the form that it is compared in; None where it says nothing about who somebody is: masked, not
    valid, or shared by many. `region` (ISO 3166) is where phone numbers without a country are at home."""
    if MASK in value:
        return None
    if kind == "phone":
        return _phone(value, rules, region)
    if kind == "email":
        return _email(value, rules)
    said = {value.casefold(), value.rpartition(":")[2].casefold()}
    return None if kind not in SENDERS_OWN and said & rules.never else value


def whole_phone(value: str, region: str | None) -> PhoneNumber | None:
    """A number that can be dialled, with its country; None where it is none."""
    try:
        number = phonenumbers.parse(unicodedata.normalize("NFKC", value), region)
    except phonenumbers.NumberParseException:
        return None
    return None if number.extension or not phonenumbers.is_valid_number(number) else number


def plain_email(value: str) -> str | None:
    """The address without the differences that mean nothing; None where it is none."""
    plain = unicodedata.normalize("NFKC", value).strip().casefold()
    return plain if len(plain) <= MAX_EMAIL_CHARS and EMAIL.fullmatch(plain) else None


def _phone(value: str, rules: Rules, region: str | None) -> str | None:
    if (number := whole_phone(value, region)) is None:
        return None
    plain: str = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return None if plain in rules.phones else plain


def _email(value: str, rules: Rules) -> str | None:
    if (plain := plain_email(value)) is None:
        return None
    name, _, domain = plain.rpartition("@")
    labels = domain.split(".")
    above = {".".join(labels[place:]) for place in range(len(labels))}
    return None if name in rules.email_names or above & rules.email_domains else plain


def shows_contact(value: str) -> bool:
    """Whether a value of any kind is a phone number or an e-mail address, with or without a platform's name before it:
    then it stays out of ids, and is kept as contacts are."""
    return any(is_phone_or_email(part) for part in (value, value.rpartition(":")[2]))


def masked(kind: str, value: str) -> str:
    """A phone number or an e-mail address, so that who knows it recognises it, and nobody else learns it."""
    if kind == "email":
        name, _, domain = value.rpartition("@")
        return f"{name[:1]}***@{domain}"
    return f"{value[:-8]}****{value[-4:]}" if len(value) > len("+86") + 8 else f"****{value[-2:]}"
