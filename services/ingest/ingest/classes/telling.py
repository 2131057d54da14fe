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
from ingest.domain.accept import Accepted
from ingest.domain.classes import Seat, Tables
from ingest.domain.identity import Rules, normal
from ingest.domain.linking import ORDER
from ingest.people import rules as identity_rules

OF_CUSTOMERS = (ingest.CustomerRegistered, ingest.CustomerUpdated)
OfCustomer = ingest.CustomerRegistered | ingest.CustomerUpdated

Whose = tuple[str, frozenset[tuple[str, str]]]  # shop, names that count: kind and value


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
            whose = self._whose(each) if found else None
            data = each.event.data
            if isinstance(data, OF_CUSTOMERS) and len(found | data.attributes) <= ingest.MAX_ATTRIBUTES:
                told.append(_with(each, data, found) if found else each)
            else:
                told.append(each)
                if whose is not None and found.items() - known[whose].items():
                    told.append(_beside(each, found))
            if whose is not None:
                known[whose] |= found
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

    def _whose(self, accepted: Accepted) -> Whose | None:
        """Who it is as far as these events tell: another event of the same is the same person's. None for who is named
        by nothing that counts, since nobody else is. An order counts only where it is all that is known."""
        event = accepted.event
        if event.customer_id:
            return event.shop_id, frozenset({("", event.customer_id)})
        country = self._shops[event.shop_id].country
        said = ((name.kind, normal(name.kind, name.value, self._rules, country)) for name in accepted.identities)
        names = frozenset((kind, value) for kind, value in said if value is not None)
        return (event.shop_id, frozenset(name for name in names if name[0] != ORDER) or names) if names else None


def _with(accepted: Accepted, data: OfCustomer, found: classes.Classes) -> Accepted:
    """What the sender says itself stands above what is guessed."""
    data = structs.replace(data, attributes=found | data.attributes)
    return structs.replace(accepted, event=structs.replace(accepted.event, data=data))


def _beside(accepted: Accepted, found: classes.Classes) -> Accepted:
    of = accepted.event
    data = ingest.CustomerUpdated(attributes=found)
    event = structs.replace(
        of, id=derived_id("classes", of.source, of.id), type=data.TYPE, causation_id=of.id, data=data
    )
    return structs.replace(accepted, event=event, personal=None)
