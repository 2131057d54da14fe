"""How the classes of one flush are told: by a `customer.updated` beside the event that brought them, where they are
others than those told last of the same customer. Its id is made of the event's. Whose that is, is known by then.

Who was merged is heard of as who lives on, where nothing is known to have been told but what was told of that one. Who
was split off, or erased, is told anew.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import structs

from common.contracts import ingest
from common.contracts.ingest import CustomerMerged, CustomerSplit
from common.ids import derived_id
from ingest.domain import told_classes
from ingest.domain.accept import Accepted
from ingest.domain.classes import ALL
from ingest.domain.told_classes import NOTHING, Told

OF_CUSTOMERS = (ingest.CustomerRegistered, ingest.CustomerUpdated)
Key = tuple[str, str]  # shop_id, customer_id


class MergedMeanwhile(Exception):
    """An event is under the id of somebody who was merged since it was asked who lives on: its flush must ask anew."""


def concerned(accepted: Accepted) -> Iterable[Key]:
    """Those of whom it must be known what was told."""
    event = accepted.event
    match event.data:
        case CustomerMerged(into):
            return (event.shop_id, event.customer_id), (event.shop_id, into)
        case CustomerSplit():
            return ((event.shop_id, event.customer_id),)
        case _ if accepted.classes or not ALL.isdisjoint(_attributes(accepted)):
            return ((event.shop_id, event.customer_id),)
        case _:
            return ()


class ToldOf:
    """What was told of the customers of one flush, which is written `now`."""

    def __init__(self, before: Mapping[Key, Told], now: datetime) -> None:
        self._before, self._now = before, now
        self.changed: dict[Key, Told] = {}

    def hear(self, accepted: Accepted) -> Iterable[Accepted]:
        """The event, and what is told beside it. Raises MergedMeanwhile."""
        yield accepted
        event = accepted.event
        key = event.shop_id, event.customer_id
        match event.data:
            case CustomerMerged(into):
                living = event.shop_id, into
                self._set(living, told_classes.after_merging(self._of(living), self._of(key), self._now))
                self._set(key, told_classes.after_going(self._of(key)))
            case CustomerSplit():
                self._set(key, told_classes.after_coming_back(self._of(key)))
            case _:
                if self._is_told(key, _attributes(accepted), accepted.classes):
                    yield _beside(accepted)

    def _is_told(self, key: Key, attributes: Mapping[str, str | None], found: Mapping[str, str | None]) -> bool:
        """Whether what was found is told beside the event, which itself tells these attributes."""
        if self._of(key).gone:
            raise MergedMeanwhile
        told = told_classes.after_hearing(self._of(key), attributes, found, self._now)
        beside = not found.keys() <= attributes.keys() and told_classes.is_news(told, found)
        if beside:
            told = told_classes.after_telling(told, found, self._now)
        self._set(key, told)
        return beside

    def _of(self, key: Key) -> Told:
        return self.changed.get(key) or self._before.get(key, NOTHING)

    def _set(self, key: Key, told: Told) -> None:
        if told != self._of(key):
            self.changed[key] = told


def _attributes(accepted: Accepted) -> Mapping[str, str | None]:
    data = accepted.event.data
    return data.attributes if isinstance(data, OF_CUSTOMERS) else {}


def _beside(accepted: Accepted) -> Accepted:
    of = accepted.event
    data = ingest.CustomerUpdated(attributes=dict(accepted.classes))
    id_ = derived_id("classes", of.source, of.id)
    event = structs.replace(of, id=id_, type=data.TYPE, causation_id=of.id, data=data)
    return structs.replace(accepted, event=event, personal=None, classes={})
