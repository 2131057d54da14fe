"""What other services tell of a customer: loyalty's points and tier, and what became of messages.

It comes by topics of its own, before or after what the shop told of the same time or an earlier one. So it is taken in
once that time has passed, each note by itself and in the order told; what comes later than that, at once. Then whatever
order the topics are read in, the same is known in the end.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from common.contracts.envelope import Data
from common.contracts.loyalty import PointsMoved, TierChanged
from common.contracts.notifier import MessageClicked, MessageDelivered, MessageOpened, MessageOutcome, MessageSent
from common.decision import Occasion, Timer
from segmentation.domain.profile.evolve import DOINGS, NAME_CHARS, Changes, Touched
from segmentation.domain.profile.records import NOTHING, Record, Series, remember
from segmentation.domain.profile.state import Note, Profile

HEARD = "heard"  # the timer's kind: a note's time has come
MAX_WAITING = 100  # of one customer; of more, the oldest is taken in before its time
OF_MESSAGES = (MessageSent, MessageDelivered, MessageOpened, MessageClicked)
NEWS: tuple[type[Data], ...] = (*PointsMoved.__subclasses__(), TierChanged, *OF_MESSAGES)
_KINDS_OF_MESSAGES = frozenset(data.TYPE for data in OF_MESSAGES)


def is_news(what: Data | Timer) -> bool:
    """Whether it is told by another service."""
    return isinstance(what, NEWS)


def noted(profile: Profile, occasion: Occasion) -> Profile:
    """The profile with the note among those that wait; of one time, in the order told."""
    note = _note(occasion)
    if any(_same(note, other) for other in profile.waiting):
        return profile
    return replace(profile, waiting=tuple(sorted((*profile.waiting, note), key=lambda each: each.at)))


def heard(profile: Profile, occasion: Occasion) -> tuple[Profile, Touched]:
    """The profile after the first of the notes that wait, if its time has come, and what became another by it."""
    if not profile.waiting:
        return profile, ()
    first, at = profile.waiting[0].at, occasion.at
    # At the note's very time an event may still come: only the note's own timer goes off after all of that time.
    is_over = first <= at if isinstance(occasion.what, Timer) else first < at
    if not is_over and len(profile.waiting) <= MAX_WAITING:
        return profile, ()
    note, *others = profile.waiting
    profile = replace(profile, waiting=tuple(others))
    if note.kind in _KINDS_OF_MESSAGES:
        return _messaged(profile, note)
    changes = {field: value for field, value in note.about.items() if value != getattr(profile, field)}
    return replace(profile, **changes), tuple(changes)


def timer(profile: Profile) -> Timer | None:
    """When the first note's time comes. The key tells the notes of one time apart, and begins with the reason."""
    first = next(iter(profile.waiting), None)
    return None if first is None else Timer(first.at, HEARD, f"{first.kind} {first.name}")


def reason(due: Timer) -> str:
    """Why, where that which was told changed anything; nothing for a timer of another kind."""
    return due.key.partition(" ")[0]


def joined(ours: tuple[Note, ...], theirs: tuple[Note, ...]) -> tuple[Note, ...]:
    """Both, of one person; but an account is its own, and loyalty tells of points that move from one to the other."""
    new = [note for note in theirs if note.kind in _KINDS_OF_MESSAGES and not any(_same(note, own) for own in ours)]
    return tuple(sorted((*ours, *new), key=lambda each: each.at))


def without_messages(waiting: tuple[Note, ...], until: datetime) -> tuple[Note, ...]:
    """Those that wait, without what was told of messages up to and including then."""
    return tuple(note for note in waiting if note.kind not in _KINDS_OF_MESSAGES or note.at > until)


def parted(ours: Profile, theirs: Profile) -> tuple[Mapping[str, Series], tuple[Note, ...]]:
    """Theirs' series as they are to be taken out of ours, and ours' notes without theirs: a message that still waits
    with one of the two may be a record of the other's."""
    for note in theirs.waiting:
        if note.kind in _KINDS_OF_MESSAGES:
            theirs, _ = _messaged(theirs, note)
    waiting = {(note.kind, note.name) for note in ours.waiting}
    series = {
        kind: replace(each, records=tuple(one for one in each.records if (kind, one.name) not in waiting))
        for kind, each in theirs.series.items()
    }
    told = {(kind, one.name) for kind in _KINDS_OF_MESSAGES for one in theirs.series.get(kind, NOTHING).records}
    return series, tuple(note for note in ours.waiting if (note.kind, note.name) not in told)


def _note(occasion: Occasion) -> Note:
    what = occasion.what
    assert not isinstance(what, Timer)
    about: dict[str, str | int] = {}
    match what:
        case PointsMoved():
            about = {"points": what.balance}
        case TierChanged():
            about = {"tier": what.tier}
        case MessageOutcome():
            about = {"channel": what.channel, "journey": what.journey, "step": what.step}
        case _:
            raise AssertionError(f"{what.TYPE} is nobody's news")
    return Note(occasion.occurred_at.astimezone(UTC), what.TYPE, occasion.cause[:NAME_CHARS], about)


def _same(one: Note, other: Note) -> bool:
    return (one.kind, one.name) == (other.kind, other.name)


def _messaged(profile: Profile, note: Note) -> tuple[Profile, Touched]:
    if profile.erased_at is not None and note.at <= profile.erased_at:
        return profile, ()  # forgotten, however late it comes
    series = remember(profile.series.get(note.kind, NOTHING), Record(note.at, note.name, dict(note.about)))
    changes: Changes = {"series": {**profile.series, note.kind: series}}
    touched: Touched = (note.kind,)
    if note.kind in DOINGS and (profile.last_seen_at is None or note.at > profile.last_seen_at):
        changes["last_seen_at"] = note.at
        touched += ("last_seen_at",)
    return replace(profile, **changes), touched
