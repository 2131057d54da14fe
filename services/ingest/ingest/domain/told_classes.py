"""What classes were told last of one customer, and whether what an event brings is news.

It may be told once too often, never too seldom: whatever it says was told, everybody who listens holds by now, or will
hold once what is under way has come.
"""

from collections.abc import Mapping

from msgspec import Struct, structs

from ingest.domain.classes import ALL, Classes


class Told(Struct, frozen=True, omit_defaults=True):
    """Told last, by class. `unsure`: where something else may stand, since a sender said it, or may yet come with
    somebody who was merged into this customer. A class that is told stands above that, whenever it comes; that there is
    none does not. `gone`: merged into somebody else, and heard of no more."""

    classes: Classes = {}
    unsure: tuple[str, ...] = ()
    gone: bool = False


NOTHING = Told()


def is_news(told: Told, found: Mapping[str, str | None]) -> bool:
    """Whether to tell what was found would change anything."""
    return any(
        name not in told.classes or told.classes[name] != value or (value is None and name in told.unsure)
        for name, value in found.items()
    )


def after_telling(told: Told, found: Mapping[str, str | None]) -> Told:
    """What is known once that was told."""
    return structs.replace(told, classes={**told.classes, **found})


def after_hearing(told: Told, attributes: Mapping[str, str | None], found: Mapping[str, str | None]) -> Told:
    """What is known once an event told these attributes: what was found, or a sender's own word in its place. That word
    is not kept, since it may be anything."""
    heard = {name: value for name, value in attributes.items() if name in ALL}
    ours = {name: value for name, value in heard.items() if value is None or found.get(name) == value}
    classes = {name: value for name, value in told.classes.items() if name not in heard}
    return structs.replace(told, classes={**classes, **ours}, unsure=_both(told.unsure, heard.keys() - ours.keys()))


def after_merging(told: Told, gone: Told) -> Told:
    """Who lives on is who somebody said; of what nobody said there, what the other brings will stand."""
    return structs.replace(told, unsure=_both(told.unsure, {*gone.unsure, *_classes(gone)}))


def after_going(told: Told) -> Told:
    """Of who was merged nothing is told any more; what was under way to it still is."""
    return Told(unsure=told.unsure, gone=True)


def after_coming_back(told: Told) -> Told:
    """Who is split off is told everything anew."""
    return Told(unsure=told.unsure)


def _classes(told: Told) -> set[str]:
    return {name for name, value in told.classes.items() if value is not None}


def _both(one: tuple[str, ...], other: set[str]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other}))
