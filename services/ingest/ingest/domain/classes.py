"""Classes made of personal data: which kind of address, mailbox and number it is. They travel, what they are made of
stays in the vault. Everything is found by the tables of classes/classes.yaml; what is not found is not told.
"""

import re
import unicodedata
from collections.abc import Mapping

import phonenumbers
from msgspec import Struct
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from ingest.domain.accept import Personal
from ingest.domain.identity import MASK, plain_email, whole_phone

OCCUPATION, EXPERIENCE, DELIVERY = "occupation", "buyer_experience", "delivery_distance"
EMAIL_CLASS, EMAIL_PROVIDER = "email_class", "email_provider"
PHONE_TYPE, PHONE_CARRIER = "phone_type", "phone_carrier"
ALL = frozenset((OCCUPATION, EXPERIENCE, DELIVERY, EMAIL_CLASS, EMAIL_PROVIDER, PHONE_TYPE, PHONE_CARRIER))
NEAR, FAR = "near", "far"  # 2 to 3 days on the way; more than 3
VIRTUAL = "virtual"  # of an operator without a network of its own, or of the internet
TYPES = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",  # number plans that do not tell, as North America's
    PhoneNumberType.VOIP: VIRTUAL,
}
OTHER = "other"
WHOLE = re.compile(r"\d{1,9}")

Classes = dict[str, str | None]  # attribute -> what is told of it; None takes away what was told before


class Words(Struct, frozen=True):
    """What is looked for in an address: names in Latin letters as words of their own, all others anywhere, but neither
    where it is the name of a street."""

    pattern: re.Pattern[str]
    meanings: Mapping[str, str]  # by the word, as `plain` writes it

    def first(self, text: str) -> str | None:
        """What the first word found means; addresses in Latin letters go from the small to the large, so the last."""
        found = [match[0] for match in self.pattern.finditer(plain(text))]
        return self.meanings[found[-1 if found[0].isascii() else 0]] if found else None


class Tables(Struct, frozen=True):
    """What classes are found by; classes.yaml explains each."""

    occupations: tuple[tuple[str, re.Pattern[str]], ...]
    email_classes: Mapping[str, str]  # by domain, or by its end: `edu`, `edu.*`
    email_providers: Mapping[str, str]  # of free mail, by domain
    phone_prefixes: Mapping[str, str]  # carriers by E.164 prefix
    phone_virtual: frozenset[str]
    places: Words
    near: frozenset[tuple[str, str]]  # pairs of regions
    experience_of: str  # the attribute that holds a credit level
    experience: tuple[tuple[int, str], ...]  # from which level on, highest first
    traits: frozenset[str]  # of Segment's, that become attributes


class Seat(Struct, frozen=True):
    """The shop: where numbers without a country are at home, and where it sends from."""

    country: str
    region: str | None = None


COMPANY, FREE = "company", "free"  # a mailbox at a domain of no table; one that anybody may have


def classes_of(
    personal: Personal | None, city: str | None, attributes: Mapping[str, str | None], tables: Tables, seat: Seat
) -> Classes:
    """All that can be told of what one event brought."""
    told: Classes = {}
    if personal is not None:
        told |= _of_phone(personal.phone, tables, seat) | _of_email(personal.email, tables)
        told |= _of_address(personal.address, tables)
    told |= _of_delivery(city or (personal.address if personal else None), tables, seat)
    return told | _of_experience(attributes.get(tables.experience_of), tables)


def plain(text: str) -> str:
    """Without the differences that mean nothing: of width and of case."""
    return unicodedata.normalize("NFKC", text).casefold()


def _of_address(address: str | None, tables: Tables) -> Classes:
    if address is None:
        return {}
    text = plain(address)
    found = next((kind for kind, pattern in tables.occupations if pattern.search(text)), None)
    return {} if found is None else {OCCUPATION: found}


def _of_email(email: str | None, tables: Tables) -> Classes:
    address = None if email is None or MASK in email else plain_email(email)
    if address is None:
        return {}
    labels = address.rpartition("@")[2].split(".")
    ends = [".".join(labels[place:]) for place in range(len(labels))]
    ends += [f"{label}.*" for label in labels[-2:-1]]
    provider = next((found for end in ends if (found := tables.email_providers.get(end))), None)
    known = next((found for end in ends if (found := tables.email_classes.get(end))), COMPANY)
    return {EMAIL_CLASS: FREE if provider else known, EMAIL_PROVIDER: provider}


def _of_phone(phone: str | None, tables: Tables, seat: Seat) -> Classes:
    number = None if phone is None or MASK in phone else whole_phone(phone, seat.country)
    if number is None:
        return {}
    whole = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    starts = [whole[:chars] for chars in range(len(whole), 1, -1)]
    virtual = not tables.phone_virtual.isdisjoint(starts)
    return {
        PHONE_TYPE: VIRTUAL if virtual else TYPES.get(phonenumbers.number_type(number), OTHER),
        PHONE_CARRIER: next((found for start in starts if (found := tables.phone_prefixes.get(start))), None),
    }


def _of_delivery(place: str | None, tables: Tables, seat: Seat) -> Classes:
    region = None if place is None or seat.region is None else tables.places.first(place)
    if region is None or seat.region is None:
        return {}
    return {DELIVERY: NEAR if region == seat.region or (region, seat.region) in tables.near else FAR}


def _of_experience(level: str | None, tables: Tables) -> Classes:
    if level is None or not WHOLE.fullmatch(level):
        return {}
    found = next((name for least, name in tables.experience if int(level) >= least), None)
    return {} if found is None else {EXPERIENCE: found}
