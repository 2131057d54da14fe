"""Models of shoppers, by histories with answers written by hand; the figures are those of the usual preset."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from segmentation.domain.models.churn import warns
from segmentation.domain.models.frequency import WHOLE, curve_of, left
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, remember
from tests.books import models_of_shoppers

MAY_1 = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODELS: dict[str, Model] = {model.name: model for model in models_of_shoppers()}


Events = Sequence[tuple[float, dict[str, Any]]]


def day(number: float) -> datetime:
    return MAY_1 + timedelta(days=number)


def answer(model: str, at: datetime, **happened: Events) -> Modelled:
    """What a model says of who did these, each on its day; `message__sent` stands for `message.sent`."""
    series = {}
    for kind, events in happened.items():
        found = Series()
        for number, (on, about) in enumerate(events):
            found = remember(found, Record(day(on), f"{kind}{number}", about))
        series[kind.replace("__", ".")] = found
    return MODELS[model].answer(Person("s", "c", ZoneInfo("UTC"), series=series), at)


def bought(*days: float, amount: int = 10_000) -> list[tuple[float, dict[str, Any]]]:
    return [(on, {"amount": amount}) for on in days]


def carted(*added: tuple[float, str]) -> list[tuple[float, dict[str, Any]]]:
    return [(on, {"category": category}) for on, category in added]


def test_a_carter_is_known_by_what_it_carts_most_how_often_and_how_lately() -> None:
    cart = carted((0, "tea"), (1, "soap"), (2, "tea"))
    told = answer("carters", day(2), cart__item_added=cart)
    assert told.facts == {"carter.category": "tea", "carter.frequency": "mid", "carter.recency": "recent"}
    assert told.until == day(9)  # recent for seven days
    told = answer("carters", day(9), cart__item_added=cart)
    assert told.facts["carter.recency"] == "long_standing"
    assert told.until == day(90)  # two are no longer mid; the newer one is tea still
    told = answer("carters", day(92), cart__item_added=cart)
    assert told == Modelled({}, None, "put nothing in a cart within 90 days")


def test_of_as_many_the_category_carted_last_is_told() -> None:
    cart = carted((0, "tea"), (1, "tea"), (2, "soap"), (3, "soap"))
    assert answer("carters", day(3), cart__item_added=cart).facts["carter.category"] == "soap"


def test_intent_falls_when_what_it_was_made_of_is_out_of_the_window() -> None:
    done: dict[str, Events] = {
        "visit": [(0, {}), (5, {})],
        "cart__item_added": carted((1, "tea"), (2, "tea"), (4, "tea")),
    }
    told = answer("intent", day(5), **done)  # 1 + 3 + 3 + 3 = 10 from day 1 on, and a visit before
    assert told.facts == {"intent": "high", "spending_power": "low"}
    assert told.until == day(31)
    told = answer("intent", day(31), **done)
    assert (told.facts["intent"], told.until) == ("mid", day(34))
    told = answer("intent", day(34), **done)
    assert (told.facts["intent"], told.until) == ("low", None)


@pytest.mark.parametrize(("amount", "power"), [(9_999, "low"), (10_000, "mid"), (30_000, "mid"), (30_001, "high")])
def test_spending_power_is_by_the_average_order(amount: int, power: str) -> None:
    told = answer("intent", day(0), purchase=bought(0, 0, amount=amount))
    assert told.facts == {"intent": "low", "spending_power": power}


def test_who_never_did_anything_has_no_classes() -> None:
    for name in MODELS:
        told = answer(name, day(0))
        assert (told.facts, told.until) == ({}, None)


def test_a_purchase_is_worth_half_after_a_half_life() -> None:
    told = answer("weighted_frequency", day(0), purchase=bought(0))
    assert told.facts == {"weighted_frequency": 100}
    assert told.until == day(0) + HOUR  # a hundred is a step, and less is left an hour later
    told = answer("weighted_frequency", day(0) + HOUR, purchase=bought(0))
    assert told.facts == {"weighted_frequency": 75}
    assert told.until == day(0) + 897 * HOUR  # 100 / 2 ** (896.47 / 2160) = 75
    assert answer("weighted_frequency", day(90), purchase=bought(0)).facts == {"weighted_frequency": 50}
    assert answer("weighted_frequency", day(181), purchase=bought(0)).facts == {"weighted_frequency": 0}
    assert answer("weighted_frequency", day(181), purchase=bought(0)).until is None


def test_older_purchases_add_what_is_left_of_them() -> None:
    told = answer("weighted_frequency", day(180), purchase=bought(0, 90, 180, amount=30_000))
    assert told.reason == "3 purchases, worth 218 hundredths of one"  # 125 * (1 + 1/2 + 1/4)
    assert told.facts == {"weighted_frequency": 200}


def test_what_is_left_is_whole_numbers_that_never_rise() -> None:
    of_half_life = curve_of(2_160)
    curve = [left(hours, of_half_life) for hours in range(5_000)]
    assert all(later < earlier for earlier, later in pairwise(curve))
    assert (curve[0], curve[2_160], curve[4_320]) == (WHOLE, WHOLE // 2, WHOLE // 4)
    assert curve[1] == 1152551589754647901  # 2 ** 60 * 2 ** (-1 / 2160), rounded down


def test_the_activity_score_loses_a_part_when_something_is_out_of_its_window() -> None:
    done: dict[str, Events] = {
        "visit": [(number, {}) for number in range(12)],
        "purchase": bought(0, 5),
        "share": [(1, {})],
    }
    told = answer("activity_score", day(11), **done)
    assert told.facts == {"activity_score": 30 + 26 + 3}
    assert told.until == day(32)  # ten of twelve visits are left until the third is 30 days old
    assert answer("activity_score", day(32), **done).facts == {"activity_score": 27 + 26 + 3}


def test_silence_is_measured_by_the_own_rhythm() -> None:
    history = bought(0, 20, 40)
    told = answer("churn", day(69), purchase=history)
    assert told.facts == {"churn.score": 0}
    assert told.until == day(70)  # one and a half gaps
    told = answer("churn", day(70), purchase=history)
    assert told.facts == {"churn.score": 30, "churn.reasons": ("silence",)}
    told = answer("churn", day(80), purchase=history)
    assert told.facts == {
        "churn.score": 50,
        "churn.reasons": ("silence",),
        "churn.warned_at": day(80),
        "churn.outcome": "pending",
    }
    assert told.until == day(100)
    assert answer("churn", day(100), purchase=history).until == day(110)
    told = answer("churn", day(110), purchase=history)
    assert (told.facts["churn.outcome"], told.until) == ("lost", None)


def test_who_buys_again_in_time_was_kept_and_by_what() -> None:
    sent = [(on, {"journey": journey}) for on, journey in ((79, "gift"), (85, "winback"), (86, "winback"), (91, "tea"))]
    told = answer("churn", day(95), purchase=bought(0, 20, 40, 90), message__sent=sent)
    assert told.facts["churn.outcome"] == "kept"
    assert told.facts["churn.warned_at"] == day(80)
    assert told.facts["churn.offers"] == ("winback",)
    assert "churn.reasons" not in told.facts
    late = answer("churn", day(115), purchase=bought(0, 20, 40, 110))
    assert late.facts["churn.outcome"] == "lost"


def test_a_falling_rhythm_and_smaller_purchases_warn_earlier() -> None:
    history = [*bought(0, 10, 20, 30), *bought(50, 70, amount=5_000)]
    told = answer("churn", day(70), purchase=history)
    assert (told.facts["churn.score"], told.facts["churn.reasons"]) == (30, ("frequency", "spend"))
    # After day 50 the newest gaps were 10 and 20 already: silence of 15 days was enough for a warning then.
    assert (told.facts["churn.warned_at"], told.facts["churn.outcome"]) == (day(65), "kept")
    assert told.until == day(85)  # one and a half times ten days, the median of 10, 10, 10, 20 and 20
    told = answer("churn", day(85), purchase=history)
    assert told.facts["churn.score"] == 60
    assert told.facts["churn.reasons"] == ("silence", "frequency", "spend")
    assert told.facts["churn.warned_at"] == day(85)


def test_two_purchases_are_no_rhythm() -> None:
    assert answer("churn", day(900), purchase=bought(0, 20)) == Modelled({})


def test_a_warning_is_told_when_it_warns() -> None:
    nothing: dict[str, Any] = {}
    pending, kept = {"churn.outcome": "pending"}, {"churn.outcome": "kept"}
    assert warns(nothing, pending)
    assert warns(kept, pending)
    assert not warns(pending, pending)
    assert not warns(pending, kept)
    assert not warns(nothing, nothing)


def review(on: float, rating: int, photo: bool = False, *topics: str) -> tuple[float, dict[str, Any]]:
    return on, {"rating": rating, "photo": photo, "topics": topics}


def test_reviews_tell_a_habit_a_mood_and_topics() -> None:
    given = [review(0, 1, True, "price"), review(10, 5, False, "service"), review(20, 4)]
    told = answer("reviews", day(20), purchase=bought(0), review__submitted=given)
    assert told.facts == {
        "reviews.habit": "often",
        "reviews.photos": 1,
        "reviews.mood": "mixed",
        "reviews.topics": ("price", "service"),
    }
    assert told.until == day(365)
    told = answer("reviews", day(365), purchase=bought(0), review__submitted=given)
    assert told.facts == {
        "reviews.habit": "seldom",
        "reviews.mood": "good",
        "reviews.topics": ("service",),
    }
    assert told.until == day(375)
    told = answer("reviews", day(385), purchase=bought(0), review__submitted=given)
    assert (told.facts, told.until) == ({"reviews.habit": "none"}, None)


def test_categories_are_liked_by_points() -> None:
    done: dict[str, Events] = {
        "purchase": [(0, {"categories": ["tea", "mugs"]})],
        "cart__item_added": carted((1, "soap"), (5, "mugs")),
    }
    told = answer("preferences", day(5), **done)
    assert told.facts == {"preferences.categories": ("mugs", "tea")}
    assert told.until == day(365)
    told = answer("preferences", day(6), **(done | {"cart__item_added": carted((1, "soap"), (5, "mugs"), (6, "soap"))}))
    assert told.facts == {"preferences.categories": ("mugs", "soap", "tea")}


def test_purchases_ahead_of_now_are_worth_what_they_will_be() -> None:
    """What a merge brought may be."""
    told = answer("weighted_frequency", day(3), purchase=bought(0, 5))
    assert told == answer("weighted_frequency", day(5), purchase=bought(0, 5))
