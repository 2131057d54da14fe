"""Whose an event is: the names it gives lead to one person, and two people who turn out to be one are merged.

An event with nothing but the sender's own id costs a look at who was merged, together with all others of the flush. All
events of a flush are told under who lives on in the end; before the one that brought two people together stands that
they are one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from msgspec import structs

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerMerged
from common.db.engine import Connection
from common.ids import derived_id
from common.telemetry import metrics
from ingest.domain.accept import Accepted
from ingest.domain.linking import ID, ORDER, Linked, Merge, Name, Named, alive, link
from ingest.people import operated
from ingest.people import store as people_store
from ingest.people.belongings import Carried
from ingest.people.naming import Naming
from ingest.people.settled import Settled
from ingest.people.store import Cause, Found, Merged

log = structlog.get_logger()

UNCOUNTED = (ID, ORDER)  # names that nobody can have too many of
SOURCE = "edge"  # of what ingest itself finds out
Callings = Sequence[tuple[Accepted, Named | None]]  # events, and whom each names; None where by the sender's id alone


class People:
    """Finds out whose events are, in the transaction that writes them."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming

    def naming(self, taken: Sequence[Accepted], received_at: datetime) -> Callings:
        """Whom the events name: all that can be said before it is known who that is."""
        return [(each, self._naming.named(each, received_at) if each.identities else None) for each in taken]

    async def settle(self, connection: Connection, called: Callings, received_at: datetime) -> Settled:
        """The events under the ids of their people. Raises Overtaken, as does whoever loses a race for a name."""
        first = await operated.settle(connection, [accepted for accepted, _ in called], received_at)
        rest = [each for each in called if not operated.is_operated(each[0].event)]
        then = await self._settle(connection, rest, received_at) if rest else Settled([], [])
        return Settled([*first.told, *then.told], [*first.moves, *then.moves])

    async def _settle(self, connection: Connection, called: Callings, now: datetime) -> Settled:
        shops: dict[str, _OfShop] = {}
        taken = [accepted for accepted, _ in called]
        for place, (accepted, names) in enumerate(called):
            shop = shops.setdefault(accepted.event.shop_id, _OfShop())
            shop.called.append(names.fallback if names else accepted.event.customer_id)
            if names and names.names:
                shop.named[place] = names
        ids = {(shop_id, id_) for shop_id, shop in shops.items() for id_ in shop.ids()}
        for (shop_id, id_), into in (await people_store.merged(connection, ids)).items():
            shops[shop_id].into[id_] = into
        settled = Settled([], [])
        for shop_id in sorted(shops):
            shop = shops[shop_id]
            if shop.named:
                await self._link(connection, shop_id, shop, taken, now)
                settled.moves.extend(Carried(shop_id, m.gone, alive(shop.into, m.into)) for m in shop.linked.merges)
        for place, (accepted, names) in enumerate(called):
            shop = shops[accepted.event.shop_id]
            settled.told.extend(_merged(accepted, merge) for merge in shop.caused_by(place))
            person = shop.people.get(place, names.fallback if names else accepted.event.customer_id)
            settled.told.append(_under(accepted, alive(shop.into, person)))
        return settled

    async def _link(
        self, connection: Connection, shop_id: str, shop: "_OfShop", taken: Sequence[Accepted], now: datetime
    ) -> None:
        """Reads what is known of one shop's people, decides, and writes what is new."""
        found = await people_store.standing(connection, shop_id, shop.names(), now)
        involved = shop.involved(found)
        people = await people_store.people(connection, shop_id, involved) if involved else {}
        standing = {name: each.standing for name, each in found.items()}
        linked = link(self._naming.rules, list(shop.named.values()), standing, shop.into, people)
        if linked.merges and (apart := await people_store.kept_apart(connection, shop_id)):
            linked = link(self._naming.rules, list(shop.named.values()), standing, shop.into, people, apart)
        shop.decided(linked)
        causes = [Cause(taken[place].event.source, taken[place].event.id) for place in shop.named]
        given = {name: (person, causes[cause], shared) for name, (person, cause, shared) in linked.given.items()}
        await people_store.give(connection, shop_id, given, now)
        await people_store.mark(connection, shop_id, _marks(found, linked), now)
        # What is known of them was read by several statements: only held, and still alive, it is of one moment.
        decided_on = {id_ for m in linked.merges for id_ in (m.gone, m.into)}
        decided_on |= {id_ for conflict in linked.conflicts for id_ in conflict.people}
        if decided_on:
            await people_store.hold(connection, shop_id, decided_on)
        if linked.merges:
            merges = [Merged(m.gone, m.into, alive(shop.into, m.into), m.name, causes[m.cause]) for m in linked.merges]
            await people_store.merge(connection, shop_id, merges, now)
        _count(shop_id, linked, causes)


class _OfShop:
    """What a flush brings of one shop: events by their place in the flush, those apart that give names that count."""

    def __init__(self) -> None:
        self.called: list[str] = []  # what each event's person is called where nobody is known by any name
        self.named: dict[int, Named] = {}
        self.into: dict[str, str] = {}  # who was merged, and who lives on
        self.people: dict[int, str] = {}
        self.linked = Linked()

    def names(self) -> set[Name]:
        """Every name that was given, the senders' own ids among them."""
        return {name for named in self.named.values() for name in _every(named)}

    def ids(self) -> set[str]:
        """Whoever may have been merged."""
        return {*self.called, *(name.value for name in self.names() if name.kind == ID)}

    def involved(self, found: Mapping[Name, Found]) -> set[str]:
        """Who is behind events that bring something new: two people at once, or a name, unless it is an order's of
        somebody whose id is told. Of those nothing need be known: they may have as many orders as they like."""
        involved: set[str] = set()
        for named in self.named.values():
            known = {name: found[name].standing for name in _every(named) if name in found}
            new = [name for name in _every(named) if name not in known]
            called = {named.fallback, *(name.value for name in new if name.kind == ID)} if new else set()
            behind = {standing.person for standing in known.values() if not standing.shared}
            behind |= {alive(self.into, id_) for id_ in called}
            if len(behind) > 1 or (new and not (named.subject and all(name.kind in UNCOUNTED for name in new))):
                involved |= behind
        return involved

    def decided(self, linked: Linked) -> None:
        """Takes what was found out."""
        self.linked, self.into = linked, linked.into
        self.people = dict(zip(self.named, linked.people, strict=True))
        self._caused: dict[int, list[Merge]] = {}
        places = list(self.named)
        for merge in linked.merges:
            self._caused.setdefault(places[merge.cause], []).append(merge)

    def caused_by(self, place: int) -> Sequence[Merge]:
        """The merges that the event at this place brought about."""
        return self._caused.get(place, ()) if self.linked.merges else ()


def _every(named: Named) -> list[Name]:
    return [*([Name(ID, named.subject)] if named.subject else []), *named.names]


def _marks(found: Mapping[Name, Found], linked: Linked) -> dict[Name, tuple[bool, int]]:
    """Of names that stand: whether they are shared now, and how often they brought people together."""
    seen = {name: (False, 0) for name, each in found.items() if each.old}
    links = {name: (False, count) for name, count in linked.links.items()}
    shared = {c.name: (True, linked.links.get(c.name, 0)) for c in linked.conflicts if c.name.kind != ID}
    return seen | links | shared


def _count(shop_id: str, linked: Linked, causes: Sequence[Cause]) -> None:
    """Counters and the log, neither of which learns a name."""
    metrics.INGEST_MERGES.inc(len(linked.merges))
    for conflict in linked.conflicts:
        kind, cause = conflict.name.kind, causes[conflict.cause]
        metrics.INGEST_IDENTITY_CONFLICTS.labels(kind).inc()
        log.warning("a name is shared by many", shop=shop_id, kind=kind, source=cause.source, by_event=cause.event_id)


def _merged(cause: Accepted, merge: Merge) -> Accepted:
    """What is told to who goes, before the event that brought the two together."""
    event: Event[Data] = structs.replace(
        cause.event,
        id=derived_id(CustomerMerged.TYPE, cause.event.source, cause.event.id, merge.gone, merge.into),
        source=SOURCE,
        type=CustomerMerged.TYPE,
        customer_id=merge.gone,
        causation_id=cause.event.id,
        data=CustomerMerged(merge.into),
    )
    return Accepted(event, None, timed=False)


def _under(accepted: Accepted, person: str) -> Accepted:
    if accepted.event.customer_id == person:
        return accepted
    return structs.replace(accepted, event=structs.replace(accepted.event, customer_id=person))
