"""What two customers have seen of orders, once they are one: nobody is told again what either was told."""

from collections.abc import Mapping
from itertools import islice

from msgspec import structs

from common.contracts.envelope import Data
from common.contracts.ingest import CustomerMerged
from journeys.domain.enrollment import MAX_KEYS, Enrollment, Keys, State
from journeys.domain.graph import Definition
from journeys.domain.triggers import CODES
from journeys.domain.walk import leave


def join(ours: State, theirs: State, definitions: Mapping[str, Definition]) -> tuple[State, tuple[Data, ...]]:
    """Ours that has seen what theirs had seen too. A journey begun here before that was known, and begun or ended
    there already for the same order (cart, ...), ends."""
    seen: dict[str, Keys] = {}
    forgotten = ours.forgotten
    for field in sorted(ours.seen.keys() | theirs.seen.keys()):
        keys = _one(ours.seen.get(field, {}), theirs.seen.get(field, {}))
        for key in list(islice(keys, max(0, len(keys) - MAX_KEYS))):
            del keys[key]
            forgotten += 1
        seen[field] = keys
    on: list[Enrollment] = []
    facts: list[Data] = []
    for enrollment in ours.on:
        reason = _ended_by(theirs, enrollment, definitions.get(enrollment.journey))
        if reason is None:
            on.append(enrollment)
        else:
            facts.append(leave(enrollment, reason))
    return structs.replace(ours, on=tuple(on), seen=seen, forgotten=forgotten), tuple(facts)


def _one(ours: Keys, theirs: Keys) -> Keys:
    """Theirs first: no more news is told of them but here."""
    keys = dict(theirs)
    for key, codes in ours.items():
        keys[key] = codes + "".join(code for code in keys.pop(key, "") if code not in codes)
    return keys


def _ended_by(theirs: State, enrollment: Enrollment, definition: Definition | None) -> str | None:
    """Why the enrollment must not go on, by what the other had seen of the same key."""
    if definition is None:
        return None
    codes = theirs.codes(definition.enter.key, enrollment.key)
    for out in definition.leave:
        if out.same and CODES[out.on] in codes:
            return out.on.TYPE
    return CustomerMerged.TYPE if CODES[definition.enter.on] in codes else None
