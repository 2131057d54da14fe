"""How classes are told: as attributes of the customer, by the event that brought what they are made of where that is
about the customer, else by a `customer.updated` beside it. Its id is made of the event's, so a repeat is one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from msgspec import structs

from common.contracts import ingest
from common.ids import derived_id
from common.shops import Shops
from ingest.classes.tables import load, seats
from ingest.domain import classes
from ingest.domain.accept import Accepted, Identity
from ingest.domain.classes import Seat, Tables
from ingest.domain.identity import CONTACTS, Rules, normal
from ingest.domain.linking import ORDER
from ingest.people import rules as identity_rules

OF_CUSTOMERS = (ingest.CustomerRegistered, ingest.CustomerUpdated)
OfCustomer = ingest.CustomerRegistered | ingest.CustomerUpdated

Whose = tuple[str, str, frozenset[Identity]]  # shop, the sender's id, other names


class Classes:
    """The classes of all shops."""

    def __init__(self, tables: Tables, rules: Rules, shops: Mapping[str, Seat]) -> None:
        self._tables, self._rules, self._shops = tables, rules, shops
        self.traits = tables.traits

    @classmethod
    def of(cls, shops: Shops) -> Self:
        """By the tables of this installation; raises BadPresets."""
        tables = load()
        return cls(tables, identity_rules.load(), seats(shops, tables))

    def told(self, accepted: Sequence[Accepted]) -> list[Accepted]:
        """The events with what classes they bring. What several events of these bring of one person, as all those of
        an order do, is told once."""
        told: list[Accepted] = []
        known: defaultdict[Whose, classes.Classes] = defaultdict(dict)
        for each in accepted:
            found = self._found(each)
            data = each.event.data
            if isinstance(data, OF_CUSTOMERS) and len(found | data.attributes) <= ingest.MAX_ATTRIBUTES:
                told.append(_with(each, data, found) if found else each)
            else:
                told.append(each)
                if found.items() - known[_whose(each)].items() and self._is_named(each):
                    told.append(_beside(each, found))
            if found:
                known[_whose(each)] |= found
        return told

    def _found(self, accepted: Accepted) -> classes.Classes:
        data = accepted.event.data
        if isinstance(data, OF_CUSTOMERS):
            city, said = data.city, data.attributes
        elif accepted.personal is not None:
            city, said = None, {}
        else:
            return {}
        return classes.classes_of(accepted.personal, city, said, self._tables, self._shops[accepted.event.shop_id])

    def _is_named(self, accepted: Accepted) -> bool:
        """Whether two events with these names are of one person; those without any that counts are of two."""
        country = self._shops[accepted.event.shop_id].country
        names = sorted(accepted.identities, key=lambda name: name.kind in CONTACTS)  # whose form takes longer to find
        return accepted.event.customer_id != "" or any(
            normal(name.kind, name.value, self._rules, country) is not None for name in names
        )


def _with(accepted: Accepted, data: OfCustomer, found: classes.Classes) -> Accepted:
    """What the sender says itself stands above what is guessed."""
    data = structs.replace(data, attributes=found | data.attributes)
    return structs.replace(accepted, event=structs.replace(accepted.event, data=data))


def _whose(accepted: Accepted) -> Whose:
    """Who it is as far as these events tell; an order counts only where it is all that is known."""
    names = frozenset(name for name in accepted.identities if name.kind != ORDER)
    subject = accepted.event.customer_id
    return accepted.event.shop_id, subject, names if names or subject else frozenset(accepted.identities)


def _beside(accepted: Accepted, found: classes.Classes) -> Accepted:
    of = accepted.event
    data = ingest.CustomerUpdated(attributes=found)
    event = structs.replace(
        of, id=derived_id("classes", of.source, of.id), type=data.TYPE, causation_id=of.id, data=data
    )
    return structs.replace(accepted, event=event, personal=None)
