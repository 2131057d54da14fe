"""What a simulation's customers are at the end: the answers of rules turn when they are said to, and not before."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import OrderCancelled, OrderPaid
from common.money import Money
from common.shops import load_shops
from regulars.history.answer import Columns
from regulars.history.ending import COLUMNS, columns, days_of
from regulars.history.segment_files import BadSegments, read_segment, rules_of
from regulars.history.virtual_time import Simulation

SIMULATION = Simulation({"cdnow": load_shops()["cdnow"]}, keeps_ended=True)
BOOK = SIMULATION.rulebooks["cdnow"]
START = datetime(1997, 1, 1, tzinfo=UTC)
END = datetime(1997, 9, 30, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
RULES: dict[str, Any] = {
    "often": {"count": "purchase", "over": "90d", "op": "gte", "value": 2},
    "silent": {"none": [{"count": "purchase", "over": "60d", "op": "gte", "value": 1}]},
    "winback": {"field": "activity", "op": "in", "value": ["winback", "lost"]},
    "champions": {"field": "rfm.group", "op": "in", "value": ["champions", "potential_loyalists"]},
    "gone": {"all": [{"segment": "silent"}, {"segment": "winback"}]},
    "lost_buyers": {"all": [{"segment": "new-lost"}, {"segment": "silent"}]},
}


def event(number: int, who: str, data: Data, at: datetime) -> Event[Data]:
    return Event(
        specversion="1.0",
        id=f"e{number}",
        source="test",
        type=data.TYPE,
        shop_id="cdnow",
        customer_id=who,
        occurred_at=at,
        received_at=at,
        data=data,
    )


def paid(number: int, who: str, at: datetime, minor: int = 100) -> Event[Data]:
    return event(number, who, OrderPaid(f"o{number}", Money(minor, "USD")), at)


def ended(history: list[Event[Data]], at: datetime, rules: dict[str, Any]) -> Columns:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.yaml" for name in rules]
        for path, rule in zip(paths, rules.values(), strict=True):
            path.write_text(yaml.safe_dump({"in": rule}))
        of_files = rules_of({path: read_segment(path) for path in paths}, BOOK)
    return columns(SIMULATION.run(history, at).ended, BOOK, of_files, at)


def answers(of: Columns, who: str) -> dict[str, tuple[object, object]]:
    named = dict(zip(of.names, of.of[who], strict=True))
    return {name: (named[name], named[f"{name}_until"]) for name in RULES}


moments = st.integers(0, int((END - START) / timedelta(hours=1))).map(lambda hours: START + timedelta(hours=hours))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(bought=st.lists(st.tuples(st.sampled_from("abc"), moments, st.integers(0, 900)), min_size=1, max_size=9))
def test_an_answer_turns_when_it_is_said_to_and_not_before(bought: list[tuple[str, datetime, int]]) -> None:
    """Of rules without scores, which are made anew of everybody at each end."""
    rules = {name: rule for name, rule in RULES.items() if name != "champions"}
    history = [paid(nr, who, at, minor) for nr, (who, at, minor) in enumerate(sorted(bought, key=lambda one: one[1]))]
    now = ended(history, END, RULES)
    for who in now.of:
        for name in rules:
            inside, until = answers(now, who)[name]
            if until is None:
                later = ended(history, END + timedelta(days=3_000), RULES)
                assert answers(later, who)[name][0] == inside
                continue
            assert isinstance(until, datetime)
            assert until > END
            assert answers(ended(history, until - INSTANT, RULES), who)[name] == (inside, until)
            assert answers(ended(history, until, RULES), who)[name][0] != inside


def test_scores_are_those_of_everybody_at_the_end() -> None:
    history = [paid(nr, f"c{nr}", START + timedelta(days=nr), minor=100 * nr) for nr in range(10)]
    found = ended(history, START + timedelta(days=20), {})
    assert found.names == COLUMNS
    scores = [found.of[f"c{nr}"][:3] for nr in range(10)]
    assert [r for r, _, _ in scores] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [f for _, f, _ in scores] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # one order each: by id
    assert [m for _, _, m in scores] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_who_bought_nothing_has_no_scores_and_no_days() -> None:
    history = [paid(1, "a", START), event(2, "a", OrderCancelled("o1"), START + timedelta(days=1))]
    *cells, inside = ended(history, END, {}).of["a"]
    assert cells == [None, None, None, None, 0, None, None]
    assert str(inside).split(";")[0] == "prospect"


def test_days_are_those_of_the_shops_calendar() -> None:
    zone = BOOK.zone
    late, early = START + timedelta(hours=23), START + timedelta(hours=25)
    assert days_of([paid(1, "a", START), paid(2, "a", late), paid(3, "a", early)], zone) == (START.date(), early.date())
    shanghai = load_shops()["demo"].zone
    assert len(days_of([paid(1, "a", START + timedelta(hours=15)), paid(2, "a", late)], type(zone)(shanghai))) == 2
    again = [paid(1, "a", START), paid(1, "a", early), event(2, "a", OrderCancelled("o1"), early)]
    assert (days_of(again[:2], zone), days_of(again, zone)) == ((START.date(),), ())


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["in: ["], "0.yaml: $: not YAML"),
        (["- a"], "0.yaml: $: expected one segment"),
        (["segment: a b\nin: {bucket: {salt: x, from: 0, to: 1}}"], "0.yaml: $.segment: "),
        (["segment: tier\nin: {bucket: {salt: x, from: 0, to: 1}}"], "there is 'tier' already"),
        (["segment: rfm_r\nin: {bucket: {salt: x, from: 0, to: 1}}"], "there is 'rfm_r' already"),
        (["segment: a\nin: {bucket: {salt: x, from: 0, to: 1}}"] * 2, "1.yaml: $.segment: there is 'a' already"),
        (["segment: a\nin: {segment: b}", "segment: b\nin: {segment: a}"], "b: $.in.segment: asks about itself"),
        (["in: {field: rfm.nothing, op: eq, value: 1}"], "0.yaml: $.in"),
    ],
)
def test_files_that_cannot_be_used(texts: list[str], fault: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    with pytest.raises(BadSegments) as told:
        rules_of({path: read_segment(path) for path in paths}, BOOK)
    assert fault in str(told.value)
