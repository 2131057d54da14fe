"""Models of shoppers against an independent recompute, on three real shops: each customer at instants of its own, at
random and at the very edges of windows, and where a model says that its answer changes next, right before and there."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, remember
from tests.books import figures_of_shoppers, models_of_shoppers
from tests.segmentation.recomputed.shoppers.histories import DAY_US, read
from tests.segmentation.recomputed.shoppers.recompute import Facts, recompute

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
CUSTOMERS = {"olist": 500, "ga_merch_store": 400, "taobao_userbehavior": 80}
# Days after something that a customer did, and after a history ended, so that every window ends within.
EDGES = {False: np.array([0, 7, 30, 45, 60, 90, 180, 365]), True: np.array([0, 1, 2, 3, 5, 90])}
TAIL_DAYS = {False: 430, True: 10}
TIGHT: dict[str, Any] = {  # a shop whose days are short, so that a history of nine of them is a long one
    "carters": {"days": 3, "mid": 2, "high": 4, "recent_days": 1},
    "weighted_frequency": {
        "half_life_days": 2,
        "categories": {"beleza_saude": 150, "cama_mesa_banho": 40},
        "amounts": {"other": [{"from_minor": 0, "weight": 33}, {"from_minor": 7_500, "weight": 110}]},
        "steps": [7, 20, 50, 55, 100, 333],
    },
    "churn": {
        "purchases": 3,
        "gaps": 5,
        "least_gap_days": 1,
        "silence": [{"percent": 110, "points": 30}, {"percent": 170, "points": 40}],
        "frequency": {"newest": 1, "percent": 120, "points": 20},
        "spend": {"newest": 1, "percent": 70, "points": 15},
        "warn_at": 40,
        "keep_days": 2,
    },
    "reviews": {"days": 90, "often": 2, "newest": 2, "bad_below": 300, "good_from": 420},
    "preferences": {"days": 5, "bought": 3, "carted": 1, "least": 4, "most": 2},
}


def people(events: pd.DataFrame, now: pd.Series) -> dict[str, Person]:
    """Everybody as of its own instant."""
    found: dict[str, dict[str, Series]] = {customer: {} for customer in now.index}
    known = events.assign(now=events["customer"].map(now)).query("at <= now")
    for row in known.itertuples(index=False):
        series = found[row.customer]
        series[row.kind] = remember(series.get(row.kind, Series()), Record(time_of(row.at), row.name, _about(row)))
    return {customer: Person("s", customer, ZoneInfo("UTC"), series=series) for customer, series in found.items()}


def _about(row: Any) -> dict[str, Any]:
    match row.kind:
        case "purchase":
            return {"amount": int(row.amount), "categories": list(row.categories)}
        case "review.submitted":
            return {"rating": int(row.rating), "photo": bool(row.photo), "topics": list(row.topics)}
        case "message.sent" | "message.opened":
            return {"journey": row.journey}
        case _:
            return {"category": row.category if isinstance(row.category, str) else None}


def time_of(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(microseconds))


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """With the time as microseconds, as the recompute has it."""
    plain = dict(facts)
    if (warned_at := plain.get("churn.warned_at")) is not None:
        kept = isinstance(warned_at, str)  # as text, in a profile
        plain["churn.warned_at"] = ((datetime.fromisoformat(warned_at) if kept else warned_at) - EPOCH) // INSTANT
    return plain


def instants(events: pd.DataFrame, round_: int, *, tight: bool) -> pd.Series:
    """Of each customer another: at random, or some days to the microsecond after something it did."""
    random = np.random.default_rng(round_)
    chosen = events.sample(frac=1, random_state=round_).drop_duplicates("customer").set_index("customer").sort_index()
    edges = chosen["at"] + random.choice(EDGES[tight], len(chosen)) * DAY_US
    anywhere = random.integers(events["at"].min(), events["at"].max() + TAIL_DAYS[tight] * DAY_US, len(chosen))
    return edges.where(random.random(len(chosen)) < 0.5, anywhere)


def differences(told: Facts, wanted: Facts) -> list[str]:
    """What differs, by customer."""
    return [f"{one}: {told[one]} instead of {wanted.get(one, {})}" for one in told if told[one] != wanted.get(one, {})]


@pytest.fixture(scope="module", params=[*CUSTOMERS])
def history(request: pytest.FixtureRequest) -> pd.DataFrame:
    """What happened in a shop, read once."""
    return read(request.param, CUSTOMERS[request.param])


@pytest.mark.parametrize("tight", [False, True], ids=["usual", "tight"])
def test_every_model_equals_the_recompute(history: pd.DataFrame, tight: bool) -> None:
    met = compare(history, tight=tight)
    assert len(met) > 20, met


def compare(events: pd.DataFrame, *, tight: bool, rounds: int = 2) -> Counter[str]:
    """Fails where an answer is not the recomputed one; which answers were met how often, and changes by time alone."""
    changed = TIGHT if tight else {}
    preset, models = figures_of_shoppers() | changed, models_of_shoppers(**changed)
    met: Counter[str] = Counter()
    for round_ in range(rounds):
        now = instants(events, round_, tight=tight)
        persons = people(events, now)
        answers = {
            model.name: {who: model.answer(one, time_of(now[who])) for who, one in persons.items()} for model in models
        }
        told: Facts = {
            who: {name: value for of in answers.values() for name, value in plain(of[who].facts).items()}
            for who in persons
        }
        found = differences(told, recompute(events, now, preset, "CNY"))
        assert not found, f"{len(found)} of {len(told)}:\n" + "\n".join(found[:5])
        met.update(f"{name}={value}" for facts in told.values() for name, value in facts.items())
        # Where a model says that it changes next; nothing else happens until then.
        past = events[events["at"] <= events["customer"].map(now)]
        for model, said in answers.items():
            ends = {who: (one.until - EPOCH) // INSTANT for who, one in said.items() if one.until is not None}
            until = pd.Series(ends, dtype="int64")
            met[f"{model} changes"] += len(until)
            if until.empty:
                continue
            of_them = past[past["customer"].isin(until.index)]
            before, after = (recompute(of_them, moment, preset, "CNY", model) for moment in (until - 1, until))
            for who in until.index:
                assert before[who] == plain(said[who].facts) != after[who], (who, model)
    return met
