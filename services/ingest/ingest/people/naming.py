"""What senders say of people, turned into names as they are kept: contact data as blind indexes, the rest as it is."""

from collections.abc import Mapping
from datetime import datetime

from common.ids import MAX_ID_CHARS
from common.shops import Shop
from ingest.domain.accept import Accepted
from ingest.domain.identity import CONTACTS, STRENGTH, Rules, normal, shows_contact
from ingest.domain.linking import Name, Named
from ingest.vault import Vault

ID_LIKE = {"buyer": "{}", "card": "card:{}", "open_id": "{}", "anonymous": "{}"}  # what somebody is called by it
CALLED_BY = ("buyer", "card", "open_id", "anonymous", "phone", "email", "order")  # a new person, by the first of them
MADE_UP, ORDERED = "p_", "order:"  # before pseudonyms, so that they are nobody's own id
PREVIOUS = "previous"  # an id that somebody had before is an id


class Naming:
    """Knows the rules, where each shop is, and the vault's index."""

    def __init__(self, vault: Vault, rules: Rules, shops: Mapping[str, Shop]) -> None:
        self.rules = rules
        self._vault, self._shops = vault, shops

    def region(self, shop_id: str) -> str | None:
        """Where the shop's phone numbers are at home."""
        return self._shops[shop_id].region if shop_id in self._shops else None

    def name(self, shop_id: str, kind: str, value: str) -> Name | None:
        """A name as it is kept; None where it tells nothing about who somebody is."""
        kind = "id" if kind == PREVIOUS else kind
        plain = normal(kind, value, self.rules, self.region(shop_id))
        if plain is None:
            return None
        if kind in CONTACTS or shows_contact(plain):
            return Name(kind, self._vault.blind_index(shop_id, kind, plain).hex())
        return Name(kind, plain)

    def named(self, accepted: Accepted, at: datetime) -> Named:
        """Whom an event names."""
        event = accepted.event
        said = ((each.kind, each.value) for each in accepted.identities)
        names = {name: value for kind, value in said if (name := self.name(event.shop_id, kind, value)) is not None}
        fallback = event.customer_id or self._called(event.shop_id, names, (event.source, event.id))
        order = sorted(names, key=lambda name: STRENGTH[name.kind])
        return Named(event.customer_id, tuple(order), fallback, at)

    def _called(self, shop_id: str, names: Mapping[Name, str], event: tuple[str, str]) -> str:
        """What a person whom nobody knows is called: an id that shows neither a phone number nor an e-mail address. Who
        is not named by anything that counts is called by the event, so that nobody else is."""
        by_kind = {name.kind: (name, value) for name, value in names.items()}
        for kind in CALLED_BY:
            if kind not in by_kind:
                continue
            name, value = by_kind[kind]
            plain = ID_LIKE.get(kind, "").format(value)
            if plain and len(plain) <= MAX_ID_CHARS and not shows_contact(value):
                return plain
            made_up = self._vault.pseudonym(shop_id, f"{kind}\x1f{name.value}")
            return (ORDERED if kind == "order" else MADE_UP) + made_up
        return MADE_UP + self._vault.pseudonym(shop_id, "\x1f".join(("event", *event)))
