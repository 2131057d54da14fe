"""Laws of the models of purchases, over any history: `until` is exactly when the answer next changes, recency never
rises by itself, and everybody is in exactly one group of each model."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from common.decision import AN_INSTANT
from segmentation.domain.models import lifecycle
from segmentation.domain.models.lifecycle import Fans, Thresholds
from segmentation.domain.models.model import Model
from segmentation.domain.models.product_cycle import Cycles, product_cycle
from segmentation.domain.models.rfm import SCORES, Named, Plan, groups_of, rfm
from segmentation.domain.models.rfm_fixed import FixedBounds, rfm_fixed
from segmentation.domain.models.rfm_scale import Bound, Purchaser, Scale, quintiles, score
from segmentation.domain.models.stage import Stages, stage
from segmentation.domain.models.value_grade import Grades, value_grade
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, remember

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 40  # of history; the bounds below lie within
FAR = timedelta(days=10_000)
KEPT = 4  # purchases one by one, so that some histories drop some
CATEGORIES = ("masks", "tea", "shoes")

GROUPS = groups_of(
    [Named("low", (1, 2), tuple(SCORES)), Named("mid", (3, 4), tuple(SCORES)), Named("high", (5,), tuple(SCORES))]
)
SCALE = Scale(
    days=(Fraction(3), Fraction(29, 5), Fraction(10), Fraction(20)),
    orders=(Bound(1, "c3"), Bound(1, "c7"), Bound(2, "c1"), Bound(4, "c5")),
    money=(Fraction(50), Fraction(501, 5), Fraction(200), Fraction(400)),
)
MODELS: tuple[Model, ...] = (
    rfm(Plan(GROUPS, (), 5), SCALE),
    rfm_fixed(FixedBounds((3 * DAY, 10 * DAY, 20 * DAY), (2, 3), 100, 300)),
    value_grade(Grades(12 * DAY, 100, 300)),
    stage(Stages(growth_from=2, mature_from=4, mature_after=15 * DAY, decline_after=18 * DAY)),
    product_cycle(Cycles({"masks": 2 * DAY, "tea": 7 * DAY}, 5 * DAY, 3)),
    lifecycle.model(Thresholds("CNY", 2, 3, 5 * DAY, 10 * DAY, 20 * DAY, Fans(2, 15 * DAY))),
)

# Close to the bounds, so that their very instants are met often.
instants = st.builds(
    lambda days, off: START + days * DAY + off * AN_INSTANT, st.integers(0, DAYS), st.sampled_from([0, 0, 1, -1, 7])
)
purchases = st.builds(
    lambda at, amount, categories: (at, amount, categories),
    instants,
    st.integers(0, 250),
    st.lists(st.sampled_from(CATEGORIES), max_size=2, unique=True),
)
Purchase = tuple[datetime, int, list[str]]


def person(bought: Sequence[Purchase], shared: Sequence[datetime] = (), customer_id: str = "c5") -> Person:
    series = Series()
    for number, (at, amount, categories) in enumerate(sorted(bought, key=lambda each: each[0])):
        about = {"order": f"o{number}", "amount": amount, "categories": tuple(categories)}
        series = remember(series, Record(at, f"o{number}", about), KEPT)
    told: dict[str, Series] = {"purchase": series} if bought else {}
    if shared:
        records = tuple(Record(at, f"s{number}", {}) for number, at in enumerate(sorted(shared)))
        told["share"] = Series(records)
    return Person("s", customer_id, ZoneInfo("UTC"), series=told)


histories = st.tuples(st.lists(purchases, max_size=8), st.integers(0, DAYS * 2)).map(
    lambda drawn: (drawn[0], max([START + drawn[1] * DAY, *(at for at, _, _ in drawn[0])]))
)


@given(histories, st.lists(instants, max_size=4))
@settings(max_examples=300)
def test_until_is_exactly_when_the_answer_changes(
    history: tuple[list[Purchase], datetime], shared: list[datetime]
) -> None:
    bought, start = history
    start = max([start, *shared])
    who = person(bought, shared)
    for model in MODELS:
        at = start
        for _ in range(100):
            told = model.answer(who, at)
            if told.until is None:
                break
            assert told.until > at, model.name
            assert model.answer(who, told.until - AN_INSTANT).facts == told.facts, model.name
            assert model.answer(who, told.until).facts != told.facts, model.name
            middle = at + (told.until - at) / 2
            assert model.answer(who, middle).facts == told.facts, model.name
            assert model.answer(who, middle).until == told.until, model.name
            at = told.until
        else:
            raise AssertionError(f"{model.name} never comes to rest")
        assert model.answer(who, at + FAR).facts == told.facts, model.name


@given(st.lists(purchases, max_size=6), st.lists(st.integers(0, 10**9), min_size=2, max_size=10))
def test_scores_of_recency_never_rise_by_themselves(bought: list[Purchase], waits: list[int]) -> None:
    who, first = person(bought), START + (DAYS + 1) * DAY
    times = sorted(first + timedelta(milliseconds=wait) for wait in waits)
    for model, field in ((MODELS[0], "rfm.r"), (MODELS[1], "rfm_fixed.r")):
        scores = [model.answer(who, at).facts.get(field, 0) for at in times]
        assert scores == sorted(scores, reverse=True)


@given(histories)
def test_everybody_is_in_exactly_one_group_of_each_model(history: tuple[list[Purchase], datetime]) -> None:
    bought, at = history
    facts = {model.name: model.answer(person(bought), at).facts for model in MODELS}
    for model in MODELS:
        assert set(facts[model.name]) <= set(model.fields)
    assert facts["lifecycle"]["lifecycle"] in {"prospect", "new", "repeat", "loyal", "fan"}
    assert ("activity" in facts["lifecycle"]) == bool(bought)
    assert facts["value_grade"]["value_grade"] in {"high", "mid", "low"}
    assert facts["stage"]["stage"] in {"novice", "growth", "mature", "decline"}
    if not bought:
        assert facts["rfm"] == facts["rfm_fixed"] == facts["product_cycle"] == {}
        return
    assert facts["rfm"]["rfm.group"] in {"low", "mid", "high"}
    assert all(facts["rfm"][f"rfm.{score}"] in SCORES for score in "rfm")
    assert facts["product_cycle"]["product_cycle"] in {"fresh", "due", "dormant"}


customers = st.lists(
    st.builds(lambda at, orders, amount: (at, orders, amount), instants, st.integers(1, 4), st.integers(0, 40)),
    min_size=5,
    max_size=60,
).map(lambda drawn: [Purchaser(f"c{number:02}", *each) for number, each in enumerate(drawn)])


@given(customers)
def test_each_fifth_of_frequency_is_a_fifth(of: list[Purchaser]) -> None:
    """However many customers have the same number of orders; no two fifths differ by more than one customer."""
    at = START + (DAYS + 1) * DAY
    scale = quintiles(of, at)
    scored = [score(each, at, scale) for each in of]
    fifths = [sum(one.f == each for one in scored) for each in SCORES]
    assert sum(fifths) == len(of)
    assert max(fifths) - min(fifths) <= 1
    for one, scores in zip(of, scored, strict=True):
        for other, theirs in zip(of, scored, strict=True):
            assert one.orders <= other.orders or scores.f >= theirs.f
            assert one.amount_minor <= other.amount_minor or scores.m >= theirs.m
            assert one.last_at <= other.last_at or scores.r >= theirs.r
