"""Laws of the models of shoppers: `until` is the very moment of the next change; order and repeats are nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.decision import AN_INSTANT
from segmentation.domain.models.model import Model
from segmentation.domain.profile.catalogue import FIELDS, SERIES
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, remember
from tests.books import models_of_shoppers

START = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=500)
CHANGES_MAX = 300  # of one model of one customer; more means that it wakes somebody for nothing

# Figures of another kind, so that classes are reached by chance: weights by category, few of everything.
TIGHT = models_of_shoppers(
    carters={"days": 20, "mid": 2, "high": 4, "recent_days": 3},
    weighted_frequency={
        "half_life_days": 11,
        "categories": {"tea": 150, "soap": 40},
        "amounts": {"other": [{"from_minor": 0, "weight": 33}, {"from_minor": 5_000, "weight": 110}]},
        "steps": [7, 20, 50, 55, 100, 333],
    },
    activity_score={
        "visits": {"days": 9, "full": 7, "points": 33},
        "purchases": {"days": 50, "full": 4, "points": 41},
        "interactions": {"days": 30, "full": 40, "points": 26},
    },
    reviews={"days": 90, "often": 2, "newest": 3, "bad_below": 300, "good_from": 420},
    preferences={"days": 60, "bought": 3, "carted": 1, "least": 4, "most": 2},
)
MODELS = (*models_of_shoppers(), *TIGHT)

CATEGORIES = st.sampled_from(["tea", "soap", "mugs"])
ABOUT: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "purchase": st.fixed_dictionaries(
        {
            "amount": st.sampled_from([0, 999, 10_000, 30_000, 30_001, 80_000]),
            "categories": st.lists(CATEGORIES, max_size=2, unique=True),
        }
    ),
    "cart.item_added": st.fixed_dictionaries({}, optional={"category": CATEGORIES}),
    "review.submitted": st.fixed_dictionaries(
        {
            "rating": st.integers(1, 5),
            "photo": st.booleans(),
            "topics": st.lists(st.sampled_from(["price", "service"]), max_size=2, unique=True),
        }
    ),
    "message.sent": st.fixed_dictionaries({"journey": st.sampled_from(["winback", "gift"])}),
}
# Whole days now and then, so that things fall on the same moment.
WHEN = st.one_of(
    st.integers(0, SPAN.days).map(lambda days: START + timedelta(days=days)),
    st.timedeltas(timedelta(), SPAN).map(lambda after: START + after),
)


@st.composite
def records(draw: st.DrawFn, model: Model) -> list[tuple[str, Record]]:
    """A history in any order, with repeats, of the kinds that the model reads."""
    kinds = sorted(model.reads)
    kinds = [*kinds, *("purchase",) * 2 * ("purchase" in kinds)]
    made = [
        (kind := draw(st.sampled_from(kinds)), Record(draw(WHEN), f"n{number}", draw(ABOUT.get(kind, st.just({})))))
        for number in range(draw(st.integers(0, 14)))
    ]
    return made + draw(st.lists(st.sampled_from(made), max_size=3)) if made else made


def person(history: list[tuple[str, Record]], at: datetime) -> Person:
    """Who lived through what had happened by then."""
    series: dict[str, Series] = {}
    for kind, record in history:
        if record.at <= at:
            series[kind] = remember(series.get(kind, Series()), record)
    return Person("s", "c", ZoneInfo("Asia/Shanghai"), series=series)


@pytest.mark.parametrize("number", range(len(MODELS)), ids=lambda number: MODELS[number].name)
def test_until_is_the_moment_of_the_next_change(number: int) -> None:
    model = MODELS[number]

    @settings(max_examples=50, deadline=None)
    @given(records(model), WHEN, st.lists(st.integers(1, 999), min_size=3, max_size=3))
    def law(history: list[tuple[str, Record]], at: datetime, between: list[int]) -> None:
        who = person(history, at)
        for _ in range(CHANGES_MAX):
            answer = model.answer(who, at)
            assert answer.facts.keys() <= set(model.fields)
            end = answer.until or at + 3 * SPAN
            for moment in [*(at + (end - at) * part / 1_000 for part in between), end - AN_INSTANT]:
                again = model.answer(who, max(moment, at))
                assert (again.facts, again.until) == (answer.facts, answer.until)
            if answer.until is None:
                return
            assert answer.until > at
            at = answer.until
            assert model.answer(who, at).facts != answer.facts
        raise AssertionError("it never comes to rest")

    law()


@pytest.mark.parametrize("number", range(len(MODELS)), ids=lambda number: MODELS[number].name)
def test_order_and_repeats_are_nothing(number: int) -> None:
    model = MODELS[number]

    @settings(max_examples=20, deadline=None)
    @given(records(model), WHEN, st.randoms(use_true_random=False))
    def law(history: list[tuple[str, Record]], at: datetime, random: Any) -> None:
        shuffled = random.sample(history, len(history))
        assert model.answer(person(shuffled, at), at) == model.answer(person(history, at), at)

    law()


def test_models_tell_what_the_catalogue_holds_and_read_what_is_remembered() -> None:
    told = [name for model in models_of_shoppers() for name in model.fields]
    assert len(told) == len(set(told))
    assert set(told) <= FIELDS.keys()
    assert {name for model in MODELS for name in model.reads} <= SERIES.keys()
