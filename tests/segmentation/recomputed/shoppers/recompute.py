"""What models of shoppers must say, recomputed by set queries over all events, each customer at its own instant.

Shares no code with the product: it is given tables and the figures of a preset, and knows no series and no `until`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

Facts = dict[str, dict[str, Any]]  # by customer

REMEMBERED = 200  # of one kind: older ones are sums
COUNTED = 100  # adds by which the category is found
LOOKED_BACK = 12  # purchases
CART, BUY, REVIEW, SENT = "cart.item_added", "purchase", "review.submitted", "message.sent"
OF_INTENT = [CART, "visit", "message.opened", "message.clicked", BUY]
INTERACTIONS = [CART, REVIEW, "share", "checkin", "message.opened", "message.clicked"]
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


def recompute(
    events: pd.DataFrame, now: pd.Series, figures: Mapping[str, Any], currency: str, model: str | None = None
) -> Facts:
    """`events`: customer, kind, at (microseconds), name and what they are about; `now`: microseconds by customer.
    Of one model, or of all."""
    every = events.assign(now=events["customer"].map(now)).query("at <= now").sort_values(["at", "name"])
    known = every.groupby(["customer", "kind"]).tail(REMEMBERED)
    known = known.assign(age=known["now"] - known["at"])
    told: Facts = defaultdict(dict)
    for name in [model] if model else MODELS:
        of = dict(figures[name])
        for by_currency in ("average_order", "amounts"):
            if by_currency in of:
                of[by_currency] = of[by_currency].get(currency) or of[by_currency]["other"]
        MODELS[name](told, known, of)
        if name == "intent":  # by all purchases there ever were
            _spending_power(told, known, every, of)
    # What says nothing is not there.
    return defaultdict(
        dict,
        {
            who: {
                name: value
                for name, value in facts.items()
                if value not in (None, ()) and (name, value) != ("reviews.photos", 0)
            }
            for who, facts in told.items()
        },
    )


def _within(known: pd.DataFrame, kinds: list[str], days: int) -> pd.DataFrame:
    return known[known["kind"].isin(kinds) & (known["age"] < days * DAY_US)]


def _put(told: Facts, field: str, values: pd.Series) -> None:
    for customer, value in values.items():
        told[str(customer)][field] = value


def _carters(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    added = _within(known, [CART], of["days"])
    count, last = added.groupby("customer").size(), added.groupby("customer")["age"].min()
    _put(
        told,
        "carter.frequency",
        pd.cut(count, [0, of["mid"] - 1, of["high"] - 1, np.inf], labels=["low", "mid", "high"]),
    )
    _put(told, "carter.recency", (last < of["recent_days"] * DAY_US).map({True: "recent", False: "long_standing"}))
    few = added.groupby("customer").tail(COUNTED).dropna(subset=["category"])
    ranked = few.groupby(["customer", "category"])["at"].agg(["size", "max"]).reset_index()
    ranked = ranked.sort_values(["size", "max", "category"]).drop_duplicates("customer", keep="last")
    _put(told, "carter.category", ranked.set_index("customer")["category"])


def _intent(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    seen = sorted(set(known.loc[known["kind"].isin(OF_INTENT), "customer"]))
    recent = _within(known, list(of["points"]), of["days"])
    points = recent["kind"].map(of["points"]).groupby(recent["customer"]).sum().reindex(seen, fill_value=0)
    _put(told, "intent", pd.cut(points, [-1, of["mid"] - 1, of["high"] - 1, np.inf], labels=["low", "mid", "high"]))


def _spending_power(told: Facts, known: pd.DataFrame, every: pd.DataFrame, of: Mapping[str, Any]) -> None:
    seen = sorted(set(known.loc[known["kind"].isin(OF_INTENT), "customer"]))
    bounds = of["average_order"]
    mean = every[every["kind"] == BUY].groupby("customer")["amount"].mean().reindex(seen, fill_value=-1)
    power = np.select([mean > bounds["high_above"], mean >= bounds["mid_from"]], ["high", "mid"], "low")
    _put(told, "spending_power", pd.Series(power, seen))


def _frequency(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    bought = known[known["kind"] == BUY].copy()
    bought["newest"] = bought.groupby("customer")["at"].transform("max")
    half_life = of["half_life_days"] * 24
    amounts = of["amounts"]
    by_amount = pd.cut(
        bought["amount"], [*(one["from_minor"] for one in amounts), np.inf], right=False, labels=False
    ).map(dict(enumerate(one["weight"] for one in amounts)))
    by_category = bought["categories"].map(
        lambda names: max((of["categories"].get(n, 100) for n in names), default=100)
    )
    to_newest, since = (bought["newest"] - bought["at"]) // HOUR_US, (bought["now"] - bought["newest"]) // HOUR_US
    worth = by_amount * by_category / 100 * np.exp2(-to_newest / half_life) * np.exp2(-since / half_life)
    value = worth.groupby(bought["customer"]).sum()
    steps = np.array([0, *of["steps"]])
    reached = np.searchsorted(steps, value.to_numpy() + 1e-9, side="right") - 1
    _put(told, "weighted_frequency", pd.Series(steps[reached], value.index))


def _activity(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    parts = {"visits": ["visit"], "purchases": [BUY], "interactions": INTERACTIONS}
    seen = sorted(set(known.loc[known["kind"].isin([*chain(*parts.values())]), "customer"]))
    score = pd.Series(0, seen)
    for name, kinds in parts.items():
        part = of[name]
        count = _within(known, kinds, part["days"]).groupby("customer").size().reindex(seen, fill_value=0)
        score += count.clip(upper=part["full"]) * part["points"] // part["full"]
    _put(told, "activity_score", score)


def _churn(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    sent = known[known["kind"] == SENT]
    for customer, bought in known[known["kind"] == BUY].groupby("customer"):
        times, amounts, now = bought["at"].to_numpy(), bought["amount"].to_numpy(), bought["now"].iloc[0]
        if len(times) < of["purchases"]:
            continue
        silent: list[tuple[int, int]] = []
        reasons: dict[str, int] = {}
        warnings = []  # each: when, who bought again when (or never until now), and how many purchases ago
        for count in range(of["purchases"], len(times) + 1):
            silent, reasons = _signs(times[:count], amounts[:count], of)
            again = times[count] if count < len(times) else None
            warned = min(since for since, points in silent if points + sum(reasons.values()) >= of["warn_at"])
            if warned < again if again is not None else warned <= now:
                warnings.append((warned, again, len(times) - count))
        points = max([points for since, points in silent if since <= now], default=0)
        if points:
            reasons = {"silence": points} | reasons
        told[customer] |= {"churn.score": sum(reasons.values()), "churn.reasons": tuple(reasons)}
        if warnings and warnings[-1][2] <= LOOKED_BACK:
            warned, again, _ = warnings[-1]
            end = warned + of["keep_days"] * DAY_US
            outcome = "kept" if again is not None and again < end else "lost" if now >= end else "pending"
            until = again if outcome == "kept" else end
            mine = sent[(sent["customer"] == customer) & (sent["at"] >= warned) & (sent["at"] < until)]
            told[customer] |= {
                "churn.warned_at": warned,
                "churn.outcome": outcome,
                "churn.offers": tuple(mine["journey"].drop_duplicates())[:10],
            }


def _signs(times: Any, amounts: Any, of: Mapping[str, Any]) -> tuple[list[tuple[int, int]], dict[str, int]]:
    """When silence counts how much, and what else speaks against the customer after these purchases."""
    gaps = np.diff(times)[-of["gaps"] :]
    usual = max(_median(gaps), of["least_gap_days"] * DAY_US)
    silent = [(int(times[-1]) + usual * one["percent"] // 100, one["points"]) for one in of["silence"]]
    reasons = {}
    newest = of["frequency"]["newest"]
    if len(gaps) >= newest + 2:
        before, now = _median(gaps[:-newest]), int(gaps[-newest:].sum())
        if now * 100 >= before * of["frequency"]["percent"] * newest:
            reasons["frequency"] = of["frequency"]["points"]
    newest, paid = of["spend"]["newest"], [int(amount) for amount in amounts[-of["gaps"] - 1 :]]
    if len(paid) >= newest + 2:
        before, now = sum(paid[:-newest]), sum(paid[-newest:])
        if now * (len(paid) - newest) * 100 <= before * newest * of["spend"]["percent"]:
            reasons["spend"] = of["spend"]["points"]
    return silent, reasons


def _median(gaps: Any) -> int:
    ranked = sorted(int(gap) for gap in gaps)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) // 2


def _reviews(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    seen = sorted(set(known.loc[known["kind"].isin([REVIEW, BUY]), "customer"]))
    recent = _within(known, [REVIEW], of["days"])
    count = recent.groupby("customer").size().reindex(seen, fill_value=0)
    _put(told, "reviews.habit", pd.cut(count, [-1, 0, of["often"] - 1, np.inf], labels=["none", "seldom", "often"]))
    photos = recent[recent["photo"].eq(True)].groupby("customer").size().reindex(seen, fill_value=0)
    _put(told, "reviews.photos", photos)
    newest = recent.groupby("customer").tail(of["newest"]).groupby("customer")["rating"].agg(["sum", "size"])
    stars = newest["sum"] * 100 / newest["size"]
    mood = np.select([stars >= of["good_from"], stars < of["bad_below"]], ["good", "bad"], "mixed")
    _put(told, "reviews.mood", pd.Series(mood, newest.index))
    topics = recent.groupby("customer")["topics"].agg(lambda each: tuple(sorted(set().union(*each))))
    _put(told, "reviews.topics", topics)


def _preferences(told: Facts, known: pd.DataFrame, of: Mapping[str, Any]) -> None:
    seen = sorted(set(known.loc[known["kind"].isin([BUY, CART]), "customer"]))
    recent = _within(known, [BUY, CART], of["days"])
    liked = [
        (customer, category, at, of["bought"] if kind == BUY else of["carted"])
        for customer, kind, at, one, many in recent[["customer", "kind", "at", "category", "categories"]].to_numpy()
        for category in (set(many) if kind == BUY else {one} if isinstance(one, str) else ())
    ]
    table = pd.DataFrame(liked, columns=["customer", "category", "at", "points"])
    table = table.astype({"at": "int64", "points": "int64"}).query("points > 0")
    table = table.sort_values("at", ascending=False, kind="stable")
    table["gathered"] = table.groupby(["customer", "category"])["points"].cumsum()
    done = table[table["gathered"] >= of["least"]].drop_duplicates(["customer", "category"])
    done = done.sort_values(["at", "category"]).groupby("customer").tail(of["most"])
    by_customer = done.groupby("customer")["category"].agg(lambda each: tuple(sorted(each)))
    for customer in seen:
        told[customer]["preferences.categories"] = by_customer.get(customer, ())


MODELS: Mapping[str, Callable[[Facts, pd.DataFrame, Mapping[str, Any]], None]] = {
    "carters": _carters,
    "intent": _intent,
    "weighted_frequency": _frequency,
    "activity_score": _activity,
    "churn": _churn,
    "reviews": _reviews,
    "preferences": _preferences,
}
