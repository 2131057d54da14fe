"""What stands in a profile after a customer lived through a real shop's history, event by event and timer by timer,
is what the recompute says of its purchases, carts and reviews."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from common.contracts.envelope import Data
from common.contracts.ingest import CartItemAdded, CheckIn, Item, OrderPaid, OrderPlaced, ReviewSubmitted, Share, Visit
from common.contracts.notifier import MessageOpened, MessageSent
from common.decision import AN_INSTANT, Aggregate
from common.money import Money
from segmentation.domain.decide import decider
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.state import Profile
from tests.books import book, figures_of_shoppers, models_of_shoppers
from tests.laws.streams import event
from tests.segmentation.recomputed.shoppers.histories import read
from tests.segmentation.recomputed.shoppers.recompute import Facts, recompute
from tests.segmentation.recomputed.shoppers.test_equality import TIGHT, differences, instants, plain, time_of

SHOP = "shop"
THRESHOLDS = Thresholds("CNY", 2, 3, timedelta(days=15), timedelta(days=60), timedelta(days=180))
DECIDE = decider({SHOP: book(SHOP, THRESHOLDS, models=models_of_shoppers(**TIGHT))})
CUSTOMERS = {"olist": 120, "ga_merch_store": 60, "taobao_userbehavior": 20}


@pytest.mark.parametrize("name", [*CUSTOMERS])
def test_a_profile_says_what_the_recompute_says(name: str) -> None:
    history = read(name, CUSTOMERS[name])
    now = instants(history, 7, tight=True)
    told: Facts = {}
    for customer, events in history.sort_values(["at", "name"]).groupby("customer"):
        living = Aggregate[Profile]("segmentation", DECIDE, SHOP, str(customer), None)
        for row in events[events["at"] <= now[customer]].itertuples(index=False):
            for number, data in enumerate(happened(row)):
                living.take(event(int(row.name[1:]) * 2 + number, str(customer), data, time_of(row.at), shop_id=SHOP))
        living.wake(time_of(now[customer]) + AN_INSTANT)
        assert not living.poison, living.poison
        answers = living.stored.state.answers if living.stored is not None else {}
        facts: dict[str, Any] = {}
        for kept in (kept for model, kept in answers.items() if model != "lifecycle"):
            facts |= plain(kept.facts)
        told[str(customer)] = facts
    found = differences(told, recompute(history, now, figures_of_shoppers() | TIGHT, "CNY"))
    assert not found, f"{len(found)} of {len(told)}:\n" + "\n".join(found[:5])


def happened(row: Any) -> Iterator[Data]:
    """A row as the events of the bus."""
    match row.kind:
        case "purchase":
            paid = Money(int(row.amount), "CNY")
            yield OrderPlaced(row.name, paid, tuple(Item(f"of {one}", category=one) for one in row.categories))
            yield OrderPaid(row.name, paid)
        case "cart.item_added":
            yield CartItemAdded(Item("one", category=row.category if isinstance(row.category, str) else None))
        case "review.submitted":
            yield ReviewSubmitted(int(row.rating), has_photo=bool(row.photo), topics=row.topics)
        case "message.sent" | "message.opened":
            outcome = MessageSent if row.kind == "message.sent" else MessageOpened
            yield outcome(row.name, "sms", row.journey, "first")
        case "visit":
            yield Visit()
        case "share":
            yield Share()
        case _:
            yield CheckIn()
