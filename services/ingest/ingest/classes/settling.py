"""How classes are told as events are written: by a `customer.updated` beside the event that brought them, where they
are others than those told last of the same customer. Its id is made of the event's. Whose that is, is known by then.

Who was merged is heard of as who lives on, where nothing is known to have been told but what was told of that one. Who
was split off, or erased, is told anew.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from common.contracts import ingest
from common.contracts.ingest import CustomerMerged, CustomerSplit
from common.db.engine import Connection
from common.ids import derived_id
from ingest.classes import store
from ingest.classes.telling import OF_CUSTOMERS
from ingest.domain import told_classes
from ingest.domain.accept import Accepted
from ingest.domain.classes import ALL
from ingest.domain.told_classes import NOTHING, Told
from ingest.store import Overtaken
from ingest.vault import Key


async def settle(connection: Connection, known: Sequence[Accepted]) -> list[Accepted]:
    """The events, and what is told beside them, in their order. Raises Overtaken."""
    keys = {key for each in known for key in concerned(each)}
    if not keys:
        return list(known)
    before = await store.lock(connection, keys)
    told = ToldOf({key: each.told for key, each in before.items()})
    events = [event for each in known for event in told.hear(each)]
    revisions = {key: each.revision for key, each in before.items()}
    await store.save(connection, {k: store.Known(t, revisions.get(k, 0)) for k, t in told.changed.items()})
    return events


def concerned(accepted: Accepted) -> Iterable[Key]:
    """Those of whom it must be known what was told."""
    event = accepted.event
    match event.data:
        case CustomerMerged(into=other) | CustomerSplit(out_of=other):
            return (event.shop_id, event.customer_id), (event.shop_id, other)
        case _ if accepted.classes or not ALL.isdisjoint(_attributes(accepted)):
            return ((event.shop_id, event.customer_id),)
        case _:
            return ()


class ToldOf:
    """What was told of the customers of one flush."""

    def __init__(self, before: Mapping[Key, Told]) -> None:
        self._before = before
        self.changed: dict[Key, Told] = {}

    def hear(self, accepted: Accepted) -> Iterable[Accepted]:
        """The event, and what is told beside it. Raises Overtaken where somebody was merged meanwhile."""
        yield accepted
        event, found, attributes = accepted.event, accepted.classes, _attributes(accepted)
        key = event.shop_id, event.customer_id
        match event.data:
            case CustomerMerged(into):
                living = event.shop_id, into
                self._set(living, told_classes.after_merging(self._of(living), self._of(key)))
                self._set(key, told_classes.after_going(self._of(key)))
                return
            case CustomerSplit():
                self._set(key, told_classes.after_coming_back(self._of(key)))
                return
            case _:
                if not concerned(accepted):
                    return
        if self._of(key).gone:
            raise Overtaken
        self._set(key, told_classes.after_hearing(self._of(key), attributes, found))
        if not found.keys() <= attributes.keys() and told_classes.is_news(self._of(key), found):
            self._set(key, told_classes.after_telling(self._of(key), found))
            yield _beside(accepted)

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
