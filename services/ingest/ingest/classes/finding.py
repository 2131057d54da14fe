"""The classes that events bring, found as they are taken. An event about the customer tells them itself; of any other
it is found out as it is written whether they are news (settling.py)."""

from collections.abc import Mapping, Sequence
from typing import Self

from msgspec import structs

from common.contracts import ingest
from common.shops import Shops
from ingest.classes.tables import load, seats
from ingest.domain import classes
from ingest.domain.accept import Accepted
from ingest.domain.classes import Seat, Tables
from ingest.domain.identity import Rules, normal
from ingest.domain.telling_classes import OF_CUSTOMERS
from ingest.people import rules as identity_rules

OfCustomer = ingest.CustomerRegistered | ingest.CustomerUpdated


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

    def found(self, accepted: Sequence[Accepted]) -> list[Accepted]:
        """The events with the classes they bring."""
        return [self._with(each) for each in accepted]

    def _with(self, accepted: Accepted) -> Accepted:
        found, data = self._found(accepted), accepted.event.data
        if not found:
            return accepted
        if isinstance(data, OF_CUSTOMERS) and len(found | data.attributes) <= ingest.MAX_ATTRIBUTES:
            return _within(accepted, data, found)
        return structs.replace(accepted, classes=found) if self._is_somebody(accepted) else accepted

    def _found(self, accepted: Accepted) -> classes.Classes:
        data = accepted.event.data
        if isinstance(data, OF_CUSTOMERS):
            city, said = data.city, data.attributes
        elif accepted.personal is not None:
            city, said = None, {}
        else:
            return {}
        return classes.classes_of(accepted.personal, city, said, self._tables, self._shops[accepted.event.shop_id])

    def _is_somebody(self, accepted: Accepted) -> bool:
        """Whether the event names its person by anything that counts: else nobody is made up to tell them of."""
        event = accepted.event
        if event.customer_id:
            return True
        country = self._shops[event.shop_id].country
        names = (normal(name.kind, name.value, self._rules, country) for name in accepted.identities)
        return any(name is not None for name in names)


def _within(accepted: Accepted, data: OfCustomer, found: classes.Classes) -> Accepted:
    """The event with the classes among its attributes. What its sender says itself stands above what is guessed."""
    data = structs.replace(data, attributes=found | data.attributes)
    return structs.replace(accepted, event=structs.replace(accepted.event, data=data), classes=found)
