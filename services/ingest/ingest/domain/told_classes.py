"""What classes were told last of one customer, and whether what an event brings is news.

It may be told once too often, never too seldom: whatever it says was told, everybody who listens holds by now, or will
hold once what is under way has come.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, structs

from ingest.domain.classes import ALL, Classes

# From a merge on: by then what the other had has come to who lives on. It takes seconds; a day, should segmentation be
# stopped meanwhile.
AWAITED = timedelta(days=1)


class Told(Struct, frozen=True, omit_defaults=True):
    """Told last, by class. `unknown`: where something else stands, since a sender said it, or since before a merge that
    was split. `coming`: where something else may yet come with somebody who was merged into this customer, and until
    when. A class that is told stands above that, whenever it comes; that there is none does not. `gone`: merged into
    somebody else, and heard of no more."""

    classes: Classes = {}
    unknown: tuple[str, ...] = ()
    coming: Mapping[str, datetime] = {}
    gone: bool = False


NOTHING = Told()


def is_news(told: Told, found: Mapping[str, str | None]) -> bool:
    """Whether to tell what was found may change anything."""
    return any(
        name not in told.classes or told.classes[name] != value or (value is None and name in told.coming)
        for name, value in found.items()
    )


def after_telling(told: Told, found: Mapping[str, str | None], now: datetime) -> Told:
    """What is known once that was told: by what is told after all has come, nothing else stands there any more."""
    return structs.replace(
        told,
        classes={**told.classes, **found},
        unknown=tuple(name for name in told.unknown if name not in found),
        coming={name: until for name, until in told.coming.items() if name not in found or now < until},
    )


def after_hearing(
    told: Told, attributes: Mapping[str, str | None], found: Mapping[str, str | None], now: datetime
) -> Told:
    """What is known once an event told these attributes: what was found, or a sender's own word in its place. That word
    is not kept, since it may be anything."""
    heard = {name: value for name, value in attributes.items() if name in ALL}
    if not heard:
        return told
    ours = {name: value for name, value in heard.items() if value is None or found.get(name) == value}
    theirs = heard.keys() - ours.keys()
    kept = {name: value for name, value in told.classes.items() if name not in theirs}
    return after_telling(structs.replace(told, classes=kept, unknown=_both(told.unknown, theirs)), ours, now)


def after_merging(told: Told, gone: Told, now: datetime) -> Told:
    """Who lives on is who somebody said; of what nobody said there, what the other brings will stand."""
    coming = dict.fromkeys(_both(_standing(gone), gone.coming), now + AWAITED)
    return structs.replace(told, coming={**told.coming, **coming})


def after_going(told: Told) -> Told:
    """Of who was merged nothing is told any more. It keeps what it had, and what was under way to it still comes."""
    return Told(unknown=_standing(told), coming=told.coming, gone=True)


def after_coming_back(told: Told) -> Told:
    """Who is split off is told everything anew."""
    return Told(unknown=_standing(told), coming=told.coming)


def _standing(told: Told) -> tuple[str, ...]:
    """Where there is something."""
    return _both(told.unknown, (name for name, value in told.classes.items() if value is not None))


def _both(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))
