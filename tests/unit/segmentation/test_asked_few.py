"""Nobody is asked for nothing: what of an order became another, and which fact keeps a customer out of a segment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.contracts.envelope import Data
from common.contracts.ingest import Item, OrderCompleted, OrderPaid, OrderPlaced, OrderUpdated
from common.decision import Occasion
from common.money import Money
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.evolve import Touched, evolve
from segmentation.domain.profile.orders import MADE_OF, MAX_ORDERS
from segmentation.domain.profile.state import Profile
from segmentation.domain.rules.rule import Fact, Group, Question, Rule, Segment
from tests.books import book

AT = datetime(2030, 1, 1, tzinfo=UTC)
AMOUNT = Money(1_000, "CNY")
CUP, MUG = (Item("cup", 1),), (Item("mug", 1),)
THRESHOLDS = Thresholds("CNY", 2, 3, timedelta(days=15), timedelta(days=60), timedelta(days=180))


def lived(profile: Profile, *happened: Data) -> tuple[Profile, Touched]:
    """What of orders the last of it touched."""
    touched: Touched = ()
    for number, what in enumerate(happened):
        at = AT + timedelta(hours=number)
        profile, touched = evolve(profile, Occasion("s", "c", what, at, at, False, f"cause-{number}"), "CNY")
    return profile, tuple(name for name in touched if name in MADE_OF)


def test_an_order_touches_what_became_another_of_it() -> None:
    placed, paid = OrderPlaced("o", AMOUNT, CUP), OrderPaid("o", AMOUNT)
    assert lived(Profile(), placed)[1] == ("order.placed",)
    assert lived(Profile(), placed, paid)[1] == ("purchase",)
    assert lived(Profile(), placed, paid, OrderCompleted("o", AMOUNT))[1] == ("order.completed",)
    assert lived(Profile(), placed, paid, OrderUpdated("o", AMOUNT, MUG))[1] == ("purchase", "order.placed")


def test_an_order_that_pushes_another_out_touches_everything() -> None:
    profile, _ = lived(Profile(), *(OrderPaid(f"o{number}", AMOUNT) for number in range(MAX_ORDERS)))
    assert lived(profile, OrderPlaced("more", AMOUNT, CUP))[1] == (*MADE_OF,)


def fact(name: str, op: str, value: Any) -> Question:
    return Question("$", Fact(name), op, value)


@pytest.mark.parametrize(
    ("rule", "gate"),
    [
        (fact("intent", "eq", "high"), ("intent", ("high",))),
        (fact("intent", "in", ("high", "mid")), ("intent", ("high", "mid"))),
        (
            Group("$", "all", (fact("points", "gte", 5), Group("$", "all", (fact("tier", "eq", "gold"),)))),
            ("tier", ("gold",)),
        ),
        (fact("intent", "ne", "high"), None),
        (Group("$", "any", (fact("intent", "eq", "high"), fact("tier", "eq", "gold"))), None),
        (Group("$", "none", (fact("intent", "eq", "high"),)), None),
    ],
)
def test_a_fact_keeps_out_where_the_rule_cannot_hold_without_it(rule: Rule, gate: Any) -> None:
    assert book("s", THRESHOLDS, [Segment("one", rule, frozenset())]).gates == (gate,)
