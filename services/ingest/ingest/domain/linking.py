"""Who is who: the names that one event gives belong to one person, and two people can turn out to be one.

Everything here is about one shop. A person is called by a customer id; who was merged is called by that of the one who
lives on. Names keep the person whom they were given to, so that a merge can be undone.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct, field, structs

from ingest.domain.identity import CONTACTS, STRENGTH, Rules

WEAKEST = len(STRENGTH)  # of who is known by no name at all
OPEN = (*CONTACTS, "anonymous")  # what somebody who is known by an order may well add to it
CALLING = ("card", "buyer", "open_id")  # names that somebody is called by, before all that is weaker
ORDER = "order"
ID = "id"
NEVER = (datetime.max.replace(tzinfo=UTC), 0)  # since when somebody is known who has no name but orders


class Name(Struct, frozen=True, order=True):
    """One name, in the form in which it is kept: of contact data a blind index."""

    kind: str
    value: str


class Named(Struct, frozen=True):
    """Whom an event names: the sender's own id for the person, if any, all other names that count, and what the person
    is called if nobody is known by any of them."""

    subject: str
    names: tuple[Name, ...]
    fallback: str
    at: datetime


class Standing(Struct, frozen=True):
    """A name that was given: to whom; whether it was found to be shared; how often it brought two people together."""

    person: str
    shared: bool = False
    links: int = 0


class Person(Struct, frozen=True):
    """How many names of each kind, and since when. Of people first known in one flush, by which of its events."""

    kinds: Mapping[str, int]
    since: tuple[datetime, int]

    @property
    def strength(self) -> int:
        """Of the strongest kind of name; lower is stronger."""
        return min((STRENGTH[kind] for kind in self.kinds), default=WEAKEST)


class Merge(Struct, frozen=True):
    """`gone` is one person with `into`, by a name that an event gave."""

    gone: str
    into: str
    name: Name
    cause: int  # the event's place


class Conflict(Struct, frozen=True):
    """A name would have brought more together than it may: it is shared by many, and counts no more."""

    name: Name
    cause: int
    people: tuple[str, ...]  # whom it would have brought together, or who has too many


class Linked(Struct):
    """What comes of a flush's events: whose each is as it comes, in the end all of them under who lives on."""

    people: list[str] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    given: dict[Name, tuple[str, int, bool]] = field(default_factory=dict)  # new names: to whom, by which event, shared
    links: dict[Name, int] = field(default_factory=dict)  # of names that stood before: merges by them
    conflicts: list[Conflict] = field(default_factory=list)
    into: dict[str, str] = field(default_factory=dict)  # who was merged, before or by these events; step by step


def alive(into: Mapping[str, str], person: str) -> str:
    """Who the person is by now."""
    while (further := into.get(person, person)) != person:
        person = further
    return person


def link(
    rules: Rules,
    events: Sequence[Named],
    standing: Mapping[Name, Standing],
    into: Mapping[str, str],
    people: Mapping[str, Person],
    apart: Collection[frozenset[str]] = (),
) -> Linked:
    """Decides on events in their order. `into`: who was merged, and who lives on; `people`: those behind the names, by
    the ids of who lives on, unless nothing is known of them; `apart`: pairs that must not be merged."""
    linking = _Linking(rules, standing, into, people, apart)
    for place, event in enumerate(events):
        linking.hear(event, place)
    linked = linking.linked
    linked.people = [alive(linked.into, person) for person in linked.people]
    return linked


class _Linking:
    def __init__(
        self,
        rules: Rules,
        standing: Mapping[Name, Standing],
        into: Mapping[str, str],
        people: Mapping[str, Person],
        apart: Collection[frozenset[str]],
    ) -> None:
        self.linked = Linked(into=dict(into))
        self._rules, self._standing, self._people, self._apart = rules, dict(standing), dict(people), apart

    def hear(self, event: Named, place: int) -> None:
        """One event: whose it is, which names are new, and who turns out to be one."""
        mine = [Name(ID, event.subject)] if event.subject else []
        counting = [*mine, *sorted(event.names, key=lambda name: STRENGTH[name.kind])]
        counting = [name for name in counting if not self._is_shared(name)]
        known = [name for name in counting if name.kind != ORDER and self._owner(name) is not None]
        person = self._owner(known[0]) if known else self._by_order(counting)
        if person is None or (not event.subject and self._deserves_a_name(counting, known, person)):
            person = self._alive(event.fallback)
        self._people.setdefault(person, Person({}, (event.at, place)))
        for name in counting:
            if name not in self._standing:
                self._give(name, person, event.at, place)
        for name in counting:
            owner = self._owner(name)
            if owner is not None and owner != person:
                person = self._join(person, owner, name, event.at, place)
        self.linked.people.append(person)

    def _deserves_a_name(self, names: Sequence[Name], known: Sequence[Name], person: str) -> bool:
        """Whether somebody who was a cart, a browser or a phone number until now turns out to be a buyer: from now on
        the person is called so, as everybody would look for it, and who was known before is merged into that one, by
        one of the known names that may do so."""
        new = [name for name in names if name.kind in CALLING and name not in self._standing]
        before = self._person(person)
        if not new or STRENGTH[new[0].kind] >= before.strength:
            return False
        return any(self._owner(name) == person and self._may_merge(name, before.strength) for name in known)

    def _alive(self, person: str) -> str:
        return alive(self.linked.into, person)

    def _is_shared(self, name: Name) -> bool:
        return name in self._standing and self._standing[name].shared

    def _owner(self, name: Name) -> str | None:
        """An id is a person's, whether or not it was ever written down."""
        if name in self._standing:
            return self._alive(self._standing[name].person)
        return self._alive(name.value) if name.kind == ID else None

    def _by_order(self, names: Sequence[Name]) -> str | None:
        """Who ordered, where the event says nothing of who that is, or nothing that speaks against it."""
        order = next((name for name in names if name.kind == ORDER), None)
        owner = self._owner(order) if order is not None else None
        if owner is None or any(name.kind not in (*OPEN, ORDER) for name in names):
            return None
        alone = len(names) == 1
        return owner if alone or self._person(owner).strength < STRENGTH[ORDER] else None

    def _person(self, person: str) -> Person:
        return self._people.get(person, Person({ORDER: 1}, NEVER))

    def _give(self, name: Name, person: str, at: datetime, place: int) -> None:
        """Writes a name down; one too many is taken for what many share."""
        owner = self._alive(name.value) if name.kind == ID else person
        known = self._people.setdefault(owner, Person({}, (at, place)))
        limit = self._rules.kinds[name.kind].per_person
        count = known.kinds.get(name.kind, 0) + 1
        shared = limit is not None and count > limit and name.kind != ID
        whose = name.value if name.kind == ID else owner
        self.linked.given[name] = (whose, place, shared)
        self._standing[name] = Standing(whose, shared)
        if shared:
            self.linked.conflicts.append(Conflict(name, place, (owner,)))
        else:
            self._people[owner] = structs.replace(known, kinds={**known.kinds, name.kind: count})

    def _join(self, one: str, other: str, name: Name, at: datetime, place: int) -> str:
        """Makes the two one where the name may do that; returns whose the event is."""
        a, b = self._person(one), self._people.setdefault(other, Person({}, (at, place)))
        if not self._may_merge(name, max(a.strength, b.strength)) or self._are_apart(one, other):
            return one
        together = {kind: a.kinds.get(kind, 0) + b.kinds.get(kind, 0) for kind in a.kinds.keys() | b.kinds.keys()}
        links = self._standing[name].links + 1
        if self._is_too_much(together, links, self._rules.kinds[name.kind].per_value):
            self._share(name, place, one, other)
            return one
        by_age = sorted((one, other), key=self._seniority)
        stays, goes = (one, other) if name.kind == ID else by_age  # of an id and the one before, the sender says it
        self._standing[name] = structs.replace(self._standing[name], links=links)
        self.linked.links[name] = links
        self._people[stays] = Person(together, min(a.since, b.since))
        self.linked.into[goes] = stays
        self.linked.merges.append(Merge(goes, stays, name, place))
        return stays

    def _may_merge(self, name: Name, weaker: int) -> bool:
        """Whether the name may make one of two people, the weaker of whom is known by a name of that strength."""
        merges = self._rules.kinds[name.kind].merges
        return merges == "all" or (merges == "weaker" and weaker >= STRENGTH[name.kind])

    def _share(self, name: Name, place: int, one: str, owner: str) -> None:
        """The name is nobody's from now on; an id stays what it is."""
        self.linked.conflicts.append(Conflict(name, place, (one, owner)))
        if name.kind == ID:
            return
        self._standing[name] = structs.replace(self._standing[name], shared=True)
        if name in self.linked.given:
            self.linked.given[name] = (*self.linked.given[name][:2], True)
        known = self._people[owner]
        left = {**known.kinds, name.kind: known.kinds.get(name.kind, 0) - 1}
        self._people[owner] = structs.replace(known, kinds={kind: count for kind, count in left.items() if count > 0})

    def _seniority(self, person: str) -> tuple[int, tuple[datetime, int], str]:
        known = self._person(person)
        return known.strength, known.since, person

    def _are_apart(self, one: str, other: str) -> bool:
        return any({self._alive(person) for person in pair} == {one, other} for pair in self._apart)

    def _is_too_much(self, together: Mapping[str, int], links: int, per_value: int | None) -> bool:
        limits = ((self._rules.kinds[kind].per_person, count) for kind, count in together.items())
        over = any(limit is not None and count > limit for limit, count in limits)
        return over or (per_value is not None and links > per_value)
