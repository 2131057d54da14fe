"""The laws of who is who: however events are cut into flushes, the people are those that an oracle finds, each merge is
told once, whoever was merged leads to who lives on in one step, and an undone merge leaves no trace."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from ingest.domain.identity import KINDS, STRENGTH, KindRule, Rules
from ingest.domain.linking import Linked, Name, Named, Person, Standing, link
from ingest.people import rules as identity_rules
from ingest.people.operated import below

LIMITED = identity_rules.load()
RULES = Rules({kind: KindRule(rule.merges) for kind, rule in LIMITED.kinds.items()})
BEGAN = datetime(2026, 5, 1, tzinfo=UTC)
OPEN = {"phone", "email", "anonymous"}


class Tables:
    """Ingest's tables of people, in memory: what people_store does, without others at the same time."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.names: dict[Name, tuple[str, datetime, bool, int]] = {}  # whose, since when, shared, links
        self.parents: dict[str, str] = {}
        self.into: dict[str, str] = {}
        self.apart: set[frozenset[str]] = set()
        self.told: list[tuple[str, str]] = []

    def alive(self, id_: str) -> str:
        return self.into.get(id_, id_)

    def flush(self, events: Sequence[Named]) -> list[str]:
        """Whose the events are."""
        standing = {n: Standing(self.alive(who), shared, links) for n, (who, _, shared, links) in self.names.items()}
        apart = [frozenset(map(self.alive, pair)) for pair in self.apart]
        linked = link(self.rules, events, standing, self.into, self._people(), apart)
        self._write(linked, events)
        return linked.people

    def _people(self) -> dict[str, Person]:
        people: dict[str, Person] = {}
        for name, (who, since, shared, _) in self.names.items():
            if name.kind != "order":
                known = people.get(self.alive(who), Person({}, (since, -1)))
                kinds = known.kinds if shared else {**known.kinds, name.kind: known.kinds.get(name.kind, 0) + 1}
                people[self.alive(who)] = Person(kinds, min(known.since, (since, -1)))
        return people

    def _write(self, linked: Linked, events: Sequence[Named]) -> None:
        for name, (who, place, shared) in linked.given.items():
            assert name not in self.names
            self.names[name] = (who, events[place].at, shared, 0)
        for name, links in linked.links.items():
            self.names[name] = (*self.names[name][:3], links)
        for conflict in linked.conflicts:
            if conflict.name.kind != "id":
                who, since, _, links = self.names[conflict.name]
                self.names[conflict.name] = (who, since, True, links)
        for merge in linked.merges:
            self.told.append((merge.gone, merge.into))
            self.parents[merge.gone] = merge.into
            self.into = {id_: merge.into if into == merge.gone else into for id_, into in self.into.items()}
            self.into[merge.gone] = self.alive(merge.into)

    def family(self, id_: str) -> dict[str, str | None]:
        root = self.alive(id_)
        return {root: None} | {gone: self.parents[gone] for gone, into in self.into.items() if into == root}

    def split(self, id_: str) -> None:
        of = below(self.family(id_), id_)
        self.apart.add(frozenset((id_, self.parents.pop(id_))))
        del self.into[id_]
        self.into |= {each: id_ for each in of if each != id_}

    def people(self) -> set[frozenset[Name]]:
        """Everybody, by all names that lead to them."""
        found: dict[str, set[Name]] = {}
        for name, (who, *_) in self.names.items():
            found.setdefault(self.alive(who), set()).add(name)
        return {frozenset(names) for names in found.values()}


class Oracle:
    """People as sets of names, put together event by event."""

    def __init__(self) -> None:
        self.groups: list[set[Name]] = []

    def hear(self, event: Named) -> None:
        own = [Name("id", event.subject)] if event.subject else []
        names = sorted({*own, *event.names}, key=lambda name: STRENGTH[name.kind])
        orders = [name for name in names if name.kind == "order"]
        plain = [name for name in names if name.kind != "order"]
        known = [name for name in plain if self.of(name) or name.kind == "id"]
        if known:
            mine = self.of(known[0]) or self.new(known[0])
        else:
            customer = self.of(orders[0]) if orders else None
            may_add = customer is not None and (not plain or ({n.kind for n in plain} <= OPEN and best(customer) < 7))
            mine = customer if customer is not None and may_add else self.new(*plain)
        for name in names:
            if self.of(name) is None:
                mine.add(name)
        for name in names:
            other = self.of(name)
            assert other is not None
            weaker = max(best(mine), best(other)) >= STRENGTH[name.kind]
            merges = RULES.kinds[name.kind].merges
            if other is not mine and (merges == "all" or (merges == "weaker" and weaker)):
                self.groups = [group for group in self.groups if group is not other]
                mine |= other

    def of(self, name: Name) -> set[Name] | None:
        return next((group for group in self.groups if name in group), None)

    def new(self, *names: Name) -> set[Name]:
        self.groups.append(set(names))
        return self.groups[-1]


def best(group: Iterable[Name]) -> int:
    return min((STRENGTH[name.kind] for name in group), default=8)


@st.composite
def named(draw: st.DrawFn, kinds: Sequence[str] = KINDS[1:]) -> Named:
    subject = draw(st.sampled_from(["", "", "u1", "u2", "u3"]))
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True))
    names = [Name(kind, f"{kind}{draw(st.integers(1, 3))}") for kind in chosen]
    if subject and draw(st.integers(0, 9)) == 0:
        names.append(Name("id", draw(st.sampled_from(["u1", "u2", "u3", "u4"]))))
    names = [name for name in names if name != Name("id", subject)]
    names = names or ([] if subject else [Name("card", "card1")])
    called = subject or "called:" + min(names, key=lambda name: STRENGTH[name.kind]).value
    return Named(subject, tuple(names), called, BEGAN)


STREAMS = st.lists(named().filter(lambda event: bool(event.names)), max_size=25)
# The browser may not make one of a buyer and a card, each a name of its own: so the new card is the buyer's.
A_BROWSER_OF_A_BUYER = [
    Named("", (Name("anonymous", "anonymous1"), Name("buyer", "buyer1")), "called:buyer1", BEGAN),
    Named("", (Name("card", "card1"), Name("anonymous", "anonymous1")), "called:card1", BEGAN),
]
CUTS = st.lists(st.integers(1, 6), min_size=25, max_size=25)


def flushes(events: Sequence[Named], cuts: Sequence[int]) -> Iterable[list[Named]]:
    place = 0
    for number, size in enumerate(cuts):
        at = BEGAN + timedelta(minutes=number)
        if cut := events[place : place + size]:
            yield [Named(e.subject, e.names, e.fallback, at) for e in cut]
        place += size


@given(STREAMS, CUTS)
@example(A_BROWSER_OF_A_BUYER, [1] * 25)
def test_people_are_those_of_the_oracle_however_the_events_are_cut(events: list[Named], cuts: list[int]) -> None:
    tables, oracle = Tables(), Oracle()
    for flush in flushes(events, cuts):
        tables.flush(flush)
        for event in flush:
            oracle.hear(event)
        assert tables.people() == {frozenset(group) for group in oracle.groups if group}


@given(STREAMS, CUTS, st.booleans())
def test_each_merge_is_told_once_and_leads_on_in_one_step(events: list[Named], cuts: list[int], limited: bool) -> None:
    tables = Tables(LIMITED if limited else RULES)
    for flush in flushes(events, cuts):
        people = tables.flush(flush)
        assert all(tables.alive(person) == person for person in people)  # told under who lives on
        for event, person in zip(flush, people, strict=True):
            assert not event.subject or tables.alive(event.subject) == person
        gone = [id_ for id_, _ in tables.told]
        assert len(gone) == len(set(gone))
        assert set(gone) == set(tables.into) == set(tables.parents)
        assert not set(tables.into.values()) & set(tables.into)  # flat
        for id_ in tables.into:
            assert set(below(tables.family(id_), tables.alive(id_))) == set(tables.family(id_))  # one tree


@given(STREAMS, CUTS, named())
def test_an_undone_merge_leaves_no_trace(events: list[Named], cuts: list[int], last: Named) -> None:
    tables = Tables()
    for flush in flushes(events, cuts):
        tables.flush(flush)
    before = {name: tables.alive(who) for name, (who, *_) in tables.names.items()}
    told = len(tables.told)
    at = BEGAN + timedelta(days=1)
    tables.flush([Named(last.subject, last.names, last.fallback, at)])
    undone = tables.told[told:]
    for gone, _ in reversed(undone):
        tables.split(gone)
    assert {name: tables.alive(who) for name, (who, *_) in tables.names.items() if name in before} == before
    # And what merged them does not merge them again.
    tables.flush([Named(last.subject, last.names, last.fallback, at)])
    assert all(tables.alive(gone) != tables.alive(into) for gone, into in undone)


@given(STREAMS, CUTS)
def test_no_person_has_more_names_than_may_be(events: list[Named], cuts: list[int]) -> None:
    tight = Rules({kind: KindRule(rule.merges, 2, 2) for kind, rule in LIMITED.kinds.items()})
    tables = Tables(tight)
    for flush in flushes(events, cuts):
        tables.flush(flush)
        shared = {name for name, (_, _, is_shared, _) in tables.names.items() if is_shared}
        for names in tables.people():
            for kind in KINDS[1:-1]:
                assert sum(name.kind == kind for name in names - shared) <= 2
        assert all(links <= 2 for _, _, _, links in tables.names.values())
