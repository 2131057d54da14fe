"""From what happened to a customer, or merely the passing of time, to its profile, its segments and what is told."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import get_args

from msgspec.structs import replace

from common.contracts.envelope import Data
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit
from common.contracts.segmentation import Lifecycle, ListChanged, SegmentLeft, SegmentRecheck
from common.contracts.work import StateMoved
from common.decision import Decide, Decision, Occasion, Timer
from segmentation.domain.asking import ACTIVITY, LIFECYCLE, NEW_RULES, Asking, of_nobody
from segmentation.domain.profile.evolve import Touched, evolve, phrase
from segmentation.domain.profile.merge import everything_of, join, part, still_known, without_person
from segmentation.domain.profile.notes import HEARD, heard, is_news, noted, reason, without_messages
from segmentation.domain.profile.notes import timer as timer_of_notes
from segmentation.domain.profile.orders import brought_up
from segmentation.domain.profile.state import Kept, Place, Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.telling import modelled, moved

CHANGE = "change"  # the timer's kind: something that was said may change by itself
FIRST_SEEN = "first seen"
SEEN_AGAIN = "seen again"  # after being forgotten
ERASED = "erased"
ASK_AGAIN_AFTER = timedelta(seconds=10)  # where another process knows newer rules: by then this one knows them too
NOT_ASKED = -1  # the revision of a profile that is asked everything when it is next met
_NOBODY = Profile()
_UNMET = Profile(resting=True)
# The very texts of the contract, since a default is left out of JSON where it is that very text.
_LIFECYCLES: Mapping[str, Lifecycle] = {name: name for name in get_args(Lifecycle)}


def decider(rulebooks: Mapping[str, Rulebook]) -> Decide[Profile]:
    """`decide` by each shop's rulebook as it is at the moment."""

    nobodies: dict[str, tuple[Rulebook, Profile | None]] = {}

    def decide(before: Profile | None, occasion: Occasion) -> Decision[Profile]:
        book = rulebooks[occasion.shop_id]
        if before is not None and not _is_unmet(before):
            return _decide(before, brought_up(before), occasion, book)
        if is_news(occasion.what):  # of who is nobody yet: it waits for what the shop tells
            return Decision(heard(noted(before or _UNMET, occasion), occasion)[0])
        if before is not None:
            asked = isinstance(occasion.what, SegmentRecheck)
            return Decision(before) if asked else _decide(None, replace(before, resting=False), occasion, book)
        made_for, nobody = nobodies.get(book.shop_id, (None, None))
        if made_for is not book:
            nobody = of_nobody(book, occasion.at)
            nobodies[book.shop_id] = book, nobody
        return _decide(None, nobody or _NOBODY, occasion, book)

    return decide


def _is_unmet(profile: Profile) -> bool:
    """Of whom nothing is known but what other services told."""
    return profile.resting and profile.erased_at is None


def _decide(before: Profile | None, known: Profile, occasion: Occasion, book: Rulebook) -> Decision[Profile]:
    what = occasion.what
    match what:
        case CustomerMerged():
            return Decision(replace(known, closed=True))
        case CustomerErased() if before is not None:
            return _forget(known, occasion)
        case SegmentRecheck() | ListChanged() if known.closed:
            return Decision(known)
        case _ if known.closed and is_news(what):
            return Decision(heard(noted(known, occasion), occasion)[0])
        case SegmentRecheck() | ListChanged() if before and what.at is not None and occasion.at < what.at:
            return _later(known, what, what.at, occasion, book)
        case CustomerSplit(out_of):
            # In no segment until now, so its place is told like a new face's.
            fresh = replace(known, closed=False, answers={}, places={}, revision=NOT_ASKED)
            return _ask(None, fresh, (), occasion, book, f"split from {out_of}", everything=True)
        case _:
            profile, touched = _after(known, occasion, book)
            return _concerned(before, known, profile, touched, occasion, book)


def _after(known: Profile, occasion: Occasion, book: Rulebook) -> tuple[Profile, Touched]:
    """The profile after what happened, and what of it became another."""
    match occasion.what:
        case Timer(kind=kind) if kind == HEARD:
            return heard(known, occasion)
        case SegmentRecheck() | Timer():
            return known, ()
        case _ if is_news(occasion.what):
            return heard(noted(known, occasion), occasion)
        case CustomerErased():
            return replace(_NOBODY, erased_at=occasion.at, resting=True, waiting=known.waiting), ()
        case StateMoved() as what:
            return _merged(known, what, occasion)
        case _:
            return evolve(known, occasion, book.currency)


def _concerned(
    before: Profile | None, known: Profile, profile: Profile, touched: Touched, occasion: Occasion, book: Rulebook
) -> Decision[Profile]:
    """Asks everything of a new face and by new presets, else what this concerns; most of the time that is nobody."""
    everything = not profile.resting and (profile.edition != book.edition or profile.revision == NOT_ASKED)
    if before is None:
        return _ask(None, profile, touched, occasion, book, FIRST_SEEN, everything=everything or profile.resting)
    if everything:
        because = SEEN_AGAIN if known.resting else NEW_RULES
        return _ask(before, profile, touched, occasion, book, because, everything=True)
    is_due = isinstance(occasion.what, Timer) and occasion.what.kind == CHANGE  # so it concerns somebody
    if not is_due and profile.revision == book.revision and book.heard.isdisjoint(touched):
        timers = _timers(profile)
        if not timers or timers[0].due > occasion.at:
            return Decision(profile, (), timers)  # it concerns nobody
    return _ask(before, profile, touched, occasion, book)


def _later(
    profile: Profile, what: SegmentRecheck | ListChanged, at: datetime, occasion: Occasion, book: Rulebook
) -> Decision[Profile]:
    """A timer for the time of the edit asks what was edited: it goes off once all news up to then is decided."""
    if isinstance(what, ListChanged):
        profile, _ = evolve(profile, occasion, book.currency)
    elif profile.revision >= what.revision and profile.edition == book.edition:
        return Decision(profile, (), _timers(profile))
    return Decision(replace(profile, revision=min(profile.revision, what.revision - 1)), (), _timers(profile, at))


def _ask(
    before: Profile | None,
    profile: Profile,
    touched: Touched,
    occasion: Occasion,
    book: Rulebook,
    because: str = "",
    *,
    everything: bool = False,
) -> Decision[Profile]:
    """Those are asked whom this concerns; what they say is kept, and told where it is another than before."""
    what = occasion.what
    why = reason(what) if isinstance(what, Timer) else _phrase(what)
    ids = occasion.shop_id, occasion.customer_id
    touching = dict.fromkeys(touched, why)
    asked = Asking(book, *ids, before, profile, occasion.at, touching, because, everything=everything)
    asked.ask()
    after = replace(
        profile,
        lifecycle=_LIFECYCLES.get(asked.fact(LIFECYCLE), _NOBODY.lifecycle),
        activity=asked.fact(ACTIVITY),
        answers=asked.answers,
        places=asked.places,
        revision=NOT_ASKED if profile.resting else book.revision,
        edition=book.edition,
    )
    facts: tuple[Data, ...] = (*moved(before, after, asked), *modelled(before, asked), *asked.told)
    return Decision(after, facts, _timers(after, again_at=_again_at(profile, occasion, book)))


def _timers(profile: Profile, again_at: datetime | None = None) -> tuple[Timer, ...]:
    """When the first of all that was said may change by itself, and when the first note's time comes."""
    due = again_at
    ends: Iterable[Kept | Place] = chain(profile.answers.values(), profile.places.values())
    for said in ends:
        if (until := said.until) is not None and (due is None or until < due):
            due = until
    timers = () if due is None else (Timer(due, CHANGE),)
    note = timer_of_notes(profile)
    return timers if note is None else (*timers, note)


def _again_at(profile: Profile, occasion: Occasion, book: Rulebook) -> datetime | None:
    """Some process knows newer rules than this one: it decided here before, or sent the question."""
    wanted = occasion.what.revision if isinstance(occasion.what, SegmentRecheck) else NOT_ASKED
    return occasion.at + ASK_AGAIN_AFTER if max(profile.revision, wanted) > book.revision else None


def _forget(profile: Profile, occasion: Occasion) -> Decision[Profile]:
    """Who is to be forgotten leaves all segments but its cell of the grid, and enters none until heard of again."""
    inside = [name for name, place in profile.places.items() if place.inside]
    left = tuple(SegmentLeft(name, ERASED, profile.places[name].version) for name in inside if not profile.closed)
    lifecycle = {name: kept for name, kept in profile.answers.items() if LIFECYCLE in kept.facts}
    forgotten = replace(
        without_person(profile),
        waiting=without_messages(profile.waiting, occasion.at),
        erased_at=occasion.at,
        resting=not profile.closed,
        answers=lifecycle,
        places={},
        revision=NOT_ASKED,
    )
    return Decision(forgotten, left, _timers(forgotten))


def _merged(profile: Profile, what: StateMoved[Profile], occasion: Occasion) -> tuple[Profile, Touched]:
    theirs = still_known(brought_up(what.state), occasion.occurred_at, profile.erased_at)
    together = part(profile, theirs) if what.taken_back else join(profile, theirs)
    new = profile.erased_at is None or occasion.occurred_at > profile.erased_at
    return (replace(together, resting=False) if new else together), everything_of(profile, theirs)


def _phrase(what: Data) -> str:
    if isinstance(what, StateMoved):
        return f"{what.of} split off" if what.taken_back else f"merged with {what.of}"
    return phrase(what)
