"""The models of purchases, threshold by threshold; and when a scale of RFM is due."""

from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from common.decision import AN_INSTANT
from segmentation.domain.models import lifecycle
from segmentation.domain.models.bought import bought
from segmentation.domain.models.days import last_due
from segmentation.domain.models.lifecycle import Fans, Thresholds
from segmentation.domain.models.product_cycle import Cycles, product_cycle
from segmentation.domain.models.rfm import Plan, rfm
from segmentation.domain.models.rfm_fixed import FixedBounds, rfm_fixed
from segmentation.domain.models.rfm_scale import Bound, Scale
from segmentation.domain.models.stage import Stages, stage
from segmentation.domain.models.value_grade import Grades, value_grade
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, Sums

DAY = timedelta(days=1)
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def person(*purchases: tuple[float, int, tuple[str, ...]], before: Sums | None = None) -> Person:
    """Who bought so many days before AT, for so much, of these categories; oldest first."""
    records = tuple(
        Record(AT - days * DAY, f"o{number}", {"amount": amount, "categories": categories})
        for number, (days, amount, categories) in enumerate(purchases)
    )
    return Person("s", "c5", ZoneInfo("Asia/Shanghai"), series={"purchase": Series(records, before)})


def fixed(*purchases: tuple[float, int]) -> tuple[Any, ...]:
    model = rfm_fixed(FixedBounds((15 * DAY, 60 * DAY, 180 * DAY), (2, 3), 100_00, 300_00))
    facts = model.answer(person(*((days, amount, ()) for days, amount in purchases)), AT).facts
    return facts["rfm_fixed.r"], facts["rfm_fixed.f"], facts["rfm_fixed.m"]


@pytest.mark.parametrize(
    ("purchases", "scores"),
    [
        ([(0, 99_99)], (4, 1, 1)),
        ([(14.99, 100_00)], (4, 1, 2)),
        ([(15, 300_00)], (3, 1, 2)),
        ([(60, 300_01)], (2, 1, 3)),
        ([(180, 0)], (1, 1, 1)),
        ([(400, 0), (60.5, 200_00)], (2, 2, 2)),  # 100 on average: mid
        ([(400, 0), (60.5, 199_99)], (2, 2, 1)),
        ([(9, 300_00), (8, 300_00), (7, 300_01)], (4, 3, 3)),  # a third of a fen above
        ([(9, 300_00), (8, 300_00), (7, 300_00), (6, 0)], (4, 3, 2)),
    ],
)
def test_fixed_scores(purchases: list[tuple[float, int]], scores: tuple[int, int, int]) -> None:
    assert fixed(*purchases) == scores


@pytest.mark.parametrize(
    ("purchases", "grade", "left_after"),
    [
        ([], "low", None),
        ([(100, 499_99)], "low", None),
        ([(100, 500_00)], "mid", 265),
        ([(364.5, 1_500_00), (10, 500_00)], "high", 0.5),
        ([(365, 1_500_00), (10, 500_00)], "mid", 355),
        ([(300, 10_00), (200, 1_990_00), (10, 0)], "high", 65),
    ],
)
def test_value_grade(purchases: list[tuple[float, int]], grade: str, left_after: float | None) -> None:
    said = value_grade(Grades(365 * DAY, 500_00, 2_000_00)).answer(person(*((d, a, ()) for d, a in purchases)), AT)
    assert said.facts == {"value_grade": grade}
    assert said.until == (None if left_after is None else AT + left_after * DAY)


@pytest.mark.parametrize(
    ("bought_days_ago", "now", "changes_after"),
    [
        ([], "novice", None),
        ([0], "novice", 180),
        ([180], "decline", None),
        ([300, 170], "growth", 10),
        ([100, 3, 2, 1], "growth", 179),
        ([100, 4, 3, 2, 1], "growth", 80),
        ([180, 4, 3, 2, 1], "mature", 179),
        ([400, 300, 220, 200, 181], "decline", None),
    ],
)
def test_stage(bought_days_ago: list[int], now: str, changes_after: float | None) -> None:
    said = stage(Stages(2, 5, 180 * DAY, 180 * DAY)).answer(person(*((days, 0, ()) for days in bought_days_ago)), AT)
    assert said.facts == {"stage": now}
    assert said.until == (None if changes_after is None else AT + changes_after * DAY)


@pytest.mark.parametrize(
    ("purchases", "now", "changes_after"),
    [
        ([(0, ("masks",))], "fresh", 20),
        ([(19.5, ("masks",))], "fresh", 0.5),
        ([(20, ("masks",))], "due", 20),
        ([(40, ("masks",))], "dormant", None),
        ([(40, ("masks",)), (1, ())], "fresh", 59),  # of no category: 60 days
        ([(25, ("masks", "sofa"))], "due", 15),  # the sofa lasts still
        ([(50, ("masks",)), (45, ("sofa",))], "fresh", 15),
        ([(50, ("masks",)), (5, ("masks",))], "fresh", 15),  # what counts is when it was last bought
    ],
)
def test_product_cycle(purchases: list[tuple[float, tuple[str, ...]]], now: str, changes_after: float | None) -> None:
    model = product_cycle(Cycles({"masks": 20 * DAY}, 60 * DAY, 2))
    said = model.answer(person(*((days, 0, categories) for days, categories in purchases)), AT)
    assert said.facts == {"product_cycle": now}
    assert said.until == (None if changes_after is None else AT + changes_after * DAY)


def test_quintiles_at_their_bounds() -> None:
    scale = Scale(
        days=(Fraction(10), Fraction(101, 5), Fraction(30), Fraction(40)),
        orders=(Bound(1, "c3"), Bound(1, "c5"), Bound(1, "c6"), Bound(2, "c1")),
        money=(Fraction(100), Fraction(1001, 5), Fraction(300), Fraction(400)),
    )
    every_cell = {(r, f): f"r{r}f{f}" for r in range(1, 6) for f in range(1, 6)}
    model = rfm(Plan(every_cell, (), 5), scale, revision=7)
    assert model.revision == 7
    at_bounds = model.answer(person((10.999, 100, ())), AT)  # ten whole days; the id is just at the second bound
    assert at_bounds.facts == {"rfm.r": 5, "rfm.f": 3, "rfm.m": 1, "rfm.group": "r5f3"}
    assert at_bounds.until == AT + 0.001 * DAY
    above = model.answer(person((20, 101, ())), AT)
    assert (above.facts["rfm.r"], above.facts["rfm.m"], above.until) == (4, 2, AT + 1 * DAY)  # 21 is above 20.2
    assert model.answer(person((50, 0, ())), AT).until is None
    assert rfm(Plan(every_cell, (), 5)).answer(person((1, 1, ())), AT).facts == {}, "no scale yet"


def test_what_is_no_longer_known_one_by_one_counts_still() -> None:
    before = Sums(40, AT - 900 * DAY, AT - 300 * DAY, {"amount": 1_000})
    both = bought(person((5, 30, ()), before=before))
    assert both is not None
    assert (both.count, both.first_at, both.last_at, both.amount_minor) == (41, AT - 900 * DAY, AT - 5 * DAY, 1_030)
    late = bought(person((500, 30, ()), before=before))  # told after those that were dropped, of an older time
    assert late is not None
    assert (late.first_at, late.last_at) == (AT - 900 * DAY, AT - 300 * DAY)
    alone = bought(person(before=before))
    assert alone is not None
    assert alone.count == 40


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2026-06-01T02:59:59.999999+08:00", "2026-05-31T15:00:00+08:00"),
        ("2026-06-01T03:00:00+08:00", "2026-06-01T03:00:00+08:00"),
        ("2026-06-01T23:59:00+08:00", "2026-06-01T15:00:00+08:00"),
        ("2026-06-01T00:00:00Z", "2026-06-01T03:00:00+08:00"),
    ],
)
def test_a_publication_is_due_by_the_shops_clock(at: str, due: str) -> None:
    instant = datetime.fromisoformat(at).astimezone(UTC)
    assert last_due([time(15), time(3)], ZoneInfo("Asia/Shanghai"), instant) == datetime.fromisoformat(due)


def test_a_publication_is_due_once_on_days_that_skip_or_repeat_its_time() -> None:
    zone = ZoneInfo("Europe/London")
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):  # the clock is put at 01:00 UTC
        due = {last_due([time(1, 30)], zone, day + timedelta(minutes=minutes)) for minutes in range(24 * 60)}
        assert len(due) == 2, "the one of the day before, and one"
        assert max(due) - min(due) <= timedelta(hours=25)
        assert last_due([time(1, 30)], zone, max(due) - AN_INSTANT) == min(due)


FANS = Thresholds("CNY", 2, 3, 15 * DAY, 60 * DAY, 180 * DAY, Fans(2, 100 * DAY))


def loyal(last: float, interactions: dict[str, list[float]], purchases: int = 3) -> Person:
    """Who bought so many times, the last so many days ago, and interacted then and then."""
    who = person(*((last + number, 0, ()) for number in reversed(range(purchases))))
    series = dict(who.series)
    for kind, days in interactions.items():
        of, _, photo = kind.partition(" ")
        about: dict[str, Any] = {"photo": bool(photo)} if of == "review.submitted" else {}
        records = [Record(AT - day * DAY, f"{kind}{day}", about) for day in days]
        series[of] = Series(tuple(sorted((*series.get(of, Series()).records, *records))))
    return replace(who, series=series)


@pytest.mark.parametrize(
    ("who", "cell", "changes_after", "reason"),
    [
        (loyal(5, {}), ("loyal", "active"), 10, ""),
        (loyal(5, {"share": [3]}), ("loyal", "active"), 10, ""),
        (loyal(5, {"share": [3], "review.submitted photo": [97]}), ("fan", "active"), 3, ""),
        (loyal(5, {"share": [3], "review.submitted": [2, 1]}), ("loyal", "active"), 10, ""),  # no photos
        (loyal(5, {"share": [3, 2, 99]}, purchases=2), ("repeat", "active"), 10, ""),
        (loyal(70, {"share": [3, 2, 99]}), ("fan", "winback"), 97, "60 days since the last purchase"),
        (loyal(70, {"share": [30, 102]}), ("loyal", "winback"), 110, "fewer than 2 interactions in 100 days"),
        (loyal(70, {"share": [30, 112]}), ("loyal", "winback"), 110, "60 days since the last purchase"),
    ],
)
def test_fans(who: Person, cell: tuple[str, str], changes_after: float, reason: str) -> None:
    said = lifecycle.model(FANS).answer(who, AT)
    assert (said.facts["lifecycle"], said.facts["activity"]) == cell
    assert said.until == AT + changes_after * DAY
    assert said.reason == reason
