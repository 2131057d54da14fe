"""A journey file to its definition, or to every fault in it: one fault refuses the whole file."""

import re
from datetime import timedelta
from typing import TypeVar, get_args

from common.contracts.envelope import Data
from common.contracts.ingest import Channel, Purpose
from common.predicate import Predicate
from common.predicate import parse as parse_predicate
from journeys.domain.graph import Definition, Enter, Leave, Step
from journeys.domain.lines import Fault, Page, Spot
from journeys.domain.triggers import TYPES, askable_fields, key_fields

MAX_STEPS = 50
MAX_LEAVES = 20
MAX_AFTER = timedelta(days=731)  # two years: later is a slip of the pen

UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(hours=24)}
DURATION = re.compile(r"(0|[1-9][0-9]{0,8})([smhd])")
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # of a journey or a template
STEP_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")
CHANNELS: tuple[Channel, ...] = get_args(Channel)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

Choice = TypeVar("Choice", bound=str)


def parse(text: str) -> Definition | tuple[Fault, ...]:
    """The definition that the YAML text says, or its faults in the order of their lines."""
    page = Page(text)
    if page.top is None:
        return tuple(page.faults)
    parts = page.mapping(page.top, ("journey", "purpose", "enter", "steps"), ("leave",))
    journey = _name(page, parts.get("journey"), NAME)
    purpose = _one_of(page, parts.get("purpose"), PURPOSES)
    enter = _enter(page, parts.get("enter"))
    leaves = [_leave(page, spot, enter) for spot in page.items(parts.get("leave"), MAX_LEAVES)]
    steps = _steps(page, page.items(parts.get("steps"), MAX_STEPS))
    if page.faults or journey is None or purpose is None or enter is None:
        return tuple(sorted(page.faults))
    return Definition(journey, purpose, enter, steps, tuple(out for out in leaves if out is not None))


def _enter(page: Page, spot: Spot | None) -> Enter | None:
    if spot is None:
        return None
    parts = page.mapping(spot, ("on", "key"), ("where",))
    on = _event_type(page, parts.get("on"))
    key = page.word(parts.get("key"))
    if on is None:
        return None
    where = _where(page, parts["where"], on) if "where" in parts else None
    if key is None or not _has_key(page, parts["key"], on, key):
        return None
    return Enter(on, key, where)


def _leave(page: Page, spot: Spot, enter: Enter | None) -> Leave | None:
    parts = page.mapping(spot, ("on", "key"))
    on = _event_type(page, parts.get("on"))
    which = _one_of(page, parts.get("key"), ("same", "other"))
    if on is None or which is None or enter is None or not _has_key(page, parts["on"], on, enter.key):
        return None
    if on is enter.on and which == "same":
        page.refuse(parts["on"], f"{on.TYPE} enters this very enrollment, it cannot end it; key: other ends the others")
        return None
    return Leave(on, same=which == "same")


def _steps(page: Page, spots: list[Spot]) -> tuple[Step, ...]:
    steps: list[Step] = []
    names: set[str] = set()
    latest = timedelta(0)
    for spot in spots:
        parts = page.mapping(spot, ("step", "after", "send", "template"))
        step = _name(page, parts.get("step"), STEP_NAME)
        after = _duration(page, parts.get("after"))
        send = _one_of(page, parts.get("send"), CHANNELS)
        template = _name(page, parts.get("template"), NAME)
        if step is not None:
            if step in names:
                page.refuse(parts["step"], f"a step {step!r} is there already")
            names.add(step)
        if after is not None:
            if after < latest:
                page.refuse(parts["after"], "comes before the step above it; steps stand in the order of their moments")
            latest = max(latest, after)
        if step is not None and after is not None and send is not None and template is not None:
            steps.append(Step(step, after, send, template))
    return tuple(steps)


def _where(page: Page, spot: Spot, on: type[Data]) -> Predicate | None:
    where = parse_predicate(page.tree(spot), askable_fields(on), spot.path)
    if not isinstance(where, tuple):
        return where
    for rejection in where:
        page.refuse_below(spot, rejection.path, rejection.reason)
    return None


def _event_type(page: Page, spot: Spot | None) -> type[Data] | None:
    name = page.word(spot)
    if spot is None or name is None:
        return None
    if name not in TYPES:
        page.refuse(spot, f"unknown event type {name!r}; known are {', '.join(TYPES)}")
    return TYPES.get(name)


def _has_key(page: Page, spot: Spot, on: type[Data], key: str) -> bool:
    fields = key_fields(on)
    if key not in fields:
        page.refuse(spot, f"{on.TYPE} has no key {key!r}; it has {', '.join(fields) or 'none'}")
    return key in fields


def _duration(page: Page, spot: Spot | None) -> timedelta | None:
    text = page.word(spot)
    if spot is None or text is None:
        return None
    match = DURATION.fullmatch(text)
    if match is None and text != "0":
        page.refuse(spot, f"{text!r} is no duration; write 0, 30s, 5m, 1h or 30d (30 times 24 hours)")
        return None
    after = int(match[1]) * UNITS[match[2]] if match else timedelta(0)
    if after > MAX_AFTER:
        page.refuse(spot, f"{text} is too long; at most {MAX_AFTER.days}d")
        return None
    return after


def _name(page: Page, spot: Spot | None, shape: re.Pattern[str]) -> str | None:
    text = page.word(spot)
    if spot is None or text is None:
        return None
    if not shape.fullmatch(text):
        page.refuse(spot, f"{text!r} does not match {shape.pattern}")
        return None
    return text


def _one_of(page: Page, spot: Spot | None, choices: tuple[Choice, ...]) -> Choice | None:
    text = page.word(spot)
    if spot is None or text is None:
        return None
    for choice in choices:
        if choice == text:
            return choice
    page.refuse(spot, f"{text!r} is none of {', '.join(choices)}")
    return None
