"""The service's answers beside the oracle's: random rules about a shop's customers at random instants."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, remember
from segmentation.domain.rules.evaluate import Answer, evaluate
from segmentation.domain.rules.parse import Known, parse
from segmentation.domain.rules.rule import Rule
from tests.segmentation.recomputed.rules.oracle import Oracle, Probe
from tests.segmentation.recomputed.rules.shapes import Change, Shop, Speaker, Tree

AN_INSTANT = timedelta(microseconds=1)
FOR_GOOD = timedelta(days=400)
SHOP_ID = "shop"
SEGMENTS = 4

Instant = tuple[str, datetime]  # a customer, and when it is asked about


class Figures(NamedTuple):
    """What was compared. `untils` are the moments told, of which `turning` were said to turn the answer."""

    rules: int = 0
    answers: int = 0
    held: int = 0
    untils: int = 0
    turning: int = 0
    asked: int = 0  # of the oracle
    differences: tuple[str, ...] = ()

    def __add__(self, other: "Figures") -> "Figures":  # type: ignore[override]
        return Figures(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[operator]


class People:
    """A shop's customers as the service knows them."""

    def __init__(self, shop: Shop, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._lists: dict[str, set[str]] = {}
        for name, customer in shop.listed:
            self._lists.setdefault(customer, set()).add(name)
        self._events: dict[str, list[tuple[str, Record]]] = {}
        for event in shop.events:
            self._events.setdefault(event.customer, []).append((event.kind, Record(event.at, event.name, event.about)))
        self._changes: dict[str, list[Change]] = {}
        for change in shop.changes:
            self._changes.setdefault(change.customer, []).append(change)

    def at(self, customer: str, at: datetime) -> Person:
        """The customer when everything up to that instant has been heard of, and nothing after it."""
        series: dict[str, Series] = {}
        known = self._events.get(customer, ())
        for kind, record in known:
            if record.at <= at:
                series[kind] = remember(series.get(kind, Series()), record, most=len(known))
        facts: dict[str, Any] = {}
        ends: dict[str, datetime] = {}
        for change in sorted(self._changes.get(customer, ()), key=lambda each: each.at, reverse=True):
            if change.at > at:
                ends[change.fact] = change.at
            elif change.fact not in facts:
                facts[change.fact] = change.value
        there = {name: value for name, value in facts.items() if value is not None}
        lists = frozenset(self._lists.get(customer, ()))
        return Person(SHOP_ID, customer, self._zone, there, series, ends, lists)


def compare(speaker: Speaker, zone: str, rules: int, instants: int) -> Figures:
    """Random rules at random instants, and at the moments until which the answers are said to stay."""
    shop, segments = speaker.shop, segments_of(speaker)
    people, oracle = People(shop, zone), Oracle(zone, SHOP_ID, segments)
    oracle.fill(shop)
    known = Known(frozenset(segments), frozenset(name for name, _ in shop.listed), ZoneInfo(zone))
    others: dict[str, Rule] = {}
    for name, tree in segments.items():
        others[name] = _rule(tree, known)
    probes: list[Instant] = [speaker.probe() for _ in range(instants)]
    persons = [people.at(customer, at) for customer, at in probes]
    total = Figures()
    for _ in range(rules):
        tree = speaker.tree(tuple(segments))
        total += _compared(tree, _rule(tree, known), others, persons, probes, oracle)
    return total


def _rule(tree: Tree, known: Known) -> Rule:
    read = parse(tree, known)
    assert not isinstance(read, tuple), (tree, read)
    return read


def _answer(rule: Rule, person: Person, at: datetime, others: Mapping[str, Rule]) -> Answer:
    answers: dict[str, Answer] = {}
    for name, other in others.items():
        answers[name] = evaluate(other, person, at, answers)
    return evaluate(rule, person, at, answers)


def _compared(
    tree: Tree,
    rule: Rule,
    others: Mapping[str, Rule],
    persons: Sequence[Person],
    probes: Sequence[Instant],
    oracle: Oracle,
) -> Figures:
    """Beside each answer itself the moment told with it: up to there the oracle's answer stays as it was, if nothing
    more is heard of the customer, and there it is another, where that was said."""
    dice = Random(str(tree))
    answers = [_answer(rule, person, at, others) for person, (_, at) in zip(persons, probes, strict=True)]
    asked: list[tuple[Probe, bool, str]] = []
    for (customer, at), answer in zip(probes, answers, strict=True):
        until, holds = answer.until, answer.holds
        asked.append(((customer, at, at), holds, ""))
        end = until if until is not None else at + FOR_GOOD
        assert end > at, (tree, customer, at, until)
        between = min(at + (end - at) * dice.random(), end - AN_INSTANT)
        asked.append(((customer, between, at), holds, f"before {until}"))
        asked.append(((customer, end - AN_INSTANT, at), holds, f"just before {until}"))
        if until is not None and answer.turns:
            asked.append(((customer, until, at), not holds, f"at {until}"))
    told = oracle.ask(tree, [probe for probe, _, _ in asked])
    differences = [
        f"{tree}: {probe[0]} asked at {probe[2]} is {mine} at {probe[1]} ({why}), the oracle says {theirs}"
        for (probe, mine, why), theirs in zip(asked, told, strict=True)
        if mine is not theirs
    ]
    held = sum(answer.holds for answer in answers)
    untils = [answer for answer in answers if answer.until is not None]
    turning = sum(answer.turns for answer in untils)
    return Figures(1, len(answers), held, len(untils), turning, len(asked), tuple(differences))


def segments_of(speaker: Speaker) -> dict[str, Tree]:
    """Some that rules may ask about, each also about those before it."""
    segments: dict[str, Tree] = {}
    for number in range(SEGMENTS):
        segments[f"s{number}"] = speaker.tree(tuple(segments), depth=2)
    return segments
