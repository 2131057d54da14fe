"""The decision of journeys: which enrollments an event ends, which it begins, and which step a timer takes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from common.contracts.envelope import Data
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit
from common.contracts.work import StateMoved
from common.decision import Decide, Decision, Occasion, Timer
from journeys.domain.enrollment import Enrollment, State, remember
from journeys.domain.graph import Definition
from journeys.domain.merge import join
from journeys.domain.triggers import CODES
from journeys.domain.walk import begin, leave, resume

WITHDRAWN = "withdrawn"  # the journey is no longer among the shop's
FORGOTTEN = "forgotten"  # so many newer orders that this one made room


END_ALL = (CustomerErased, CustomerMerged)


class Entry(Struct, frozen=True):
    """A journey that an event may begin, unless an event of `barred_by` (codes) was seen of the key before."""

    definition: Definition
    barred_by: frozenset[str]


class Role(Struct, frozen=True):
    """What one type of event means to all journeys that tell enrollments apart by `field`."""

    field: str
    code: str
    journeys: frozenset[str]
    begins: tuple[Entry, ...]
    ends_same: frozenset[str]  # journeys
    ends_other: frozenset[str]


class Plan(Struct, frozen=True):
    """A shop's journeys, turned around: from the type of an event to what it does."""

    definitions: Mapping[str, Definition]
    roles: Mapping[type[Data], tuple[Role, ...]]


def decider(definitions_by_shop: Mapping[str, Sequence[Definition]]) -> Decide[State]:
    """Binds each shop's journeys to the decision."""
    plans = {shop_id: plan(definitions) for shop_id, definitions in definitions_by_shop.items()}

    def decide_for_shop(state: State | None, occasion: Occasion) -> Decision[State]:
        return decide(plans[occasion.shop_id], state, occasion)

    return decide_for_shop


def heeds(definitions_by_shop: Mapping[str, Sequence[Definition]]) -> frozenset[type[Data]]:
    """The types of events that any shop's journeys begin or end with, those that end all, and those of merging."""
    named = [on for definitions in definitions_by_shop.values() for on in plan(definitions).roles]
    return frozenset((*END_ALL, CustomerSplit, StateMoved, *named))


def plan(definitions: Sequence[Definition]) -> Plan:
    """What each type of event does, worked out once and not at every event."""
    fields: defaultdict[type[Data], set[str]] = defaultdict(set)
    for definition in definitions:
        for on in (definition.enter.on, *(out.on for out in definition.leave)):
            fields[on].add(definition.enter.key)
    return Plan(
        {definition.journey: definition for definition in definitions},
        {on: tuple(_role(on, field, definitions) for field in sorted(names)) for on, names in fields.items()},
    )


def _role(on: type[Data], field: str, definitions: Sequence[Definition]) -> Role:
    of_field = [definition for definition in definitions if definition.enter.key == field]
    return Role(
        field=field,
        code=CODES[on],
        journeys=frozenset(d.journey for d in of_field),
        begins=tuple(
            Entry(d, frozenset(CODES[out.on] for out in d.leave if out.same)) for d in of_field if d.enter.on is on
        ),
        ends_same=frozenset(d.journey for d in of_field for out in d.leave if out.on is on and out.same),
        ends_other=frozenset(d.journey for d in of_field for out in d.leave if out.on is on and not out.same),
    )


def decide(plan: Plan, state: State | None, occasion: Occasion) -> Decision[State]:
    """What becomes of the customer's journeys, what is said, and the timers of the enrollments that go on."""
    state = state or State()
    what = occasion.what
    if isinstance(what, Timer):
        after, facts = _on_timer(plan, state, what, occasion)
    elif isinstance(what, END_ALL):
        # Nobody is left to speak to under this id. What a merged customer has seen goes on with the other; after a
        # split it has seen it still, and what ended stays so.
        after, facts = structs.replace(state, on=()), tuple(leave(e, what.TYPE) for e in state.on)
    elif isinstance(what, StateMoved):
        # What was taken back stays seen: at worst somebody is told nothing of an order that is another's.
        after, facts = (state, ()) if what.taken_back else join(state, what.state, plan.definitions)
    else:
        after, facts = state, ()
        for role in plan.roles.get(type(what), ()):
            after, said = _on_event(role, after, what, occasion)
            facts += said
    return Decision(after, facts, after.timers())


def _on_event(role: Role, state: State, data: Data, occasion: Occasion) -> tuple[State, tuple[Data, ...]]:
    """Each event counts once per key, however often it comes: the first moves journeys, the rest move nothing."""
    key: str | None = getattr(data, role.field)
    if key is None:
        return state, ()
    codes = state.codes(role.field, key)
    if role.code in codes:
        return state, ()
    state, dropped = remember(state, role.field, key, role.code)
    going_on: list[Enrollment] = []
    facts: list[Data] = []
    for enrollment in state.on:
        if enrollment.journey in (role.ends_same if enrollment.key == key else role.ends_other):
            facts.append(leave(enrollment, data.TYPE))
        elif enrollment.key == dropped and enrollment.journey in role.journeys:
            facts.append(leave(enrollment, FORGOTTEN))
        else:
            going_on.append(enrollment)
    for entry in role.begins:
        where = entry.definition.enter.where
        if entry.barred_by.isdisjoint(codes) and (where is None or where.matches(data)):
            begun, said = begin(entry.definition, key, data, occasion)
            facts += said
            if begun is not None:
                going_on.append(begun)
    return structs.replace(state, on=tuple(going_on)), tuple(facts)


def _on_timer(plan: Plan, state: State, timer: Timer, occasion: Occasion) -> tuple[State, tuple[Data, ...]]:
    """A timer whose enrollment has ended or gone on without it takes no step."""
    place = next((place for place, enrollment in enumerate(state.on) if enrollment.timer == timer), None)
    if place is None:
        return state, ()
    enrollment = state.on[place]
    definition = plan.definitions.get(enrollment.journey)
    going_on, facts = (
        (None, (leave(enrollment, WITHDRAWN),)) if definition is None else resume(definition, enrollment, occasion)
    )
    kept = () if going_on is None else (going_on,)
    return structs.replace(state, on=(*state.on[:place], *kept, *state.on[place + 1 :])), facts
