"""The recompute held to hand-made shops of a few orders: each rule at the second where it turns.

Written times are wall-clock times of the shop unless they carry an offset; the shop is at -03:00, in summer at -02:00.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.olist.recompute import Answer, main, recompute

LATER = "2019-06-01T00:00:00-03:00"


@dataclass(frozen=True)
class Order:
    """One order as the files tell it; `order` and `who` are ids, empty times are not known."""

    order: str
    placed: str
    paid: str = ""
    carrier: str = ""
    delivered: str = ""
    status: str = "delivered"
    who: str = "ana"
    payments: tuple[str, ...] = ("10.00",)


@dataclass(frozen=True)
class Review:
    order: str
    answered: str
    text: str = ""


def bought(order: str, at: str, *payments: str, who: str = "ana") -> Order:
    """Everything at one instant: placed, paid, sent, delivered."""
    return Order(order, at, at, at, at, who=who, payments=payments or ("10.00",))


def write(folder: Path, name: str, columns: str, rows: Iterable[tuple[str, ...]]) -> None:
    with (folder / f"olist_{name}_dataset.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(), *rows])


@dataclass(frozen=True)
class Shop:
    folder: Path

    def holds(self, *rows: Order | Review) -> "Shop":
        """Writes the files; every order has its own customer_id, as in the real ones."""
        orders = [row for row in rows if isinstance(row, Order)]
        reviews = [row for row in rows if isinstance(row, Review)]
        write(
            self.folder,
            "customers",
            "customer_id customer_unique_id customer_city",
            [(f"c-{each.order}", each.who, "são paulo") for each in orders],
        )
        write(
            self.folder,
            "orders",
            "order_id customer_id order_status order_purchase_timestamp order_approved_at order_delivered_carrier_date"
            " order_delivered_customer_date order_estimated_delivery_date",
            [
                (o.order, f"c-{o.order}", o.status, o.placed, o.paid, o.carrier, o.delivered, "2030-01-01 00:00:00")
                for o in orders
            ],
        )
        write(
            self.folder,
            "order_payments",
            "order_id payment_sequential payment_value",
            [(each.order, str(n), value) for each in orders for n, value in enumerate(each.payments, 1)],
        )
        write(
            self.folder,
            "order_reviews",
            "review_id order_id review_comment_message review_answer_timestamp",
            [("the same", each.order, each.text, each.answered) for each in reviews],
        )
        return self

    def at(self, moment: str, orders: int | None = None) -> Answer:
        return recompute(self.folder, datetime.fromisoformat(moment), orders)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# ------------------------------------------------------------------------------------------- who there is


def test_an_event_at_the_moment_asked_for_has_happened(shop: Shop) -> None:
    shop.holds(Order("o1", "2017-06-01 12:00:00"))
    assert shop.at("2017-06-01T11:59:59-03:00").customers == {}
    assert list(shop.at("2017-06-01T12:00:00-03:00").customers) == ["ana"]


def test_a_review_before_the_order_already_makes_a_customer(shop: Shop) -> None:
    shop.holds(
        Order("o1", "2017-06-02 00:00:00"),
        Review("o1", "2017-06-03 00:00:00"),
        Review("o1", "2017-06-01 00:00:00", 'good, "very" good\r\n\r\n"again, he said\n'),
        Order("o2", "2017-06-02 00:00:00", who="bia"),
        Review("o2", ""),
    )
    assert shop.at("2017-05-31T23:59:59-03:00").customers == {}
    assert list(shop.at("2017-06-01T00:00:00-03:00").customers) == ["ana"]
    assert list(shop.at("2017-06-02T00:00:00-03:00").customers) == ["ana", "bia"]


def test_local_times_follow_the_zone_through_summer_time(shop: Shop) -> None:
    shop.holds(
        bought("winter", "2017-07-01 12:00:00", who="winter"),
        bought("summer", "2017-12-01 12:00:00", who="summer"),
        bought("comes twice", "2017-02-18 23:30:00", who="twice"),
        bought("never comes", "2017-10-15 00:30:00", who="never"),
    )
    times = {who.id: who.first_purchase for who in shop.at(LATER).customers.values()}
    assert times == {
        "winter": datetime(2017, 7, 1, 15, tzinfo=UTC),
        "summer": datetime(2017, 12, 1, 14, tzinfo=UTC),
        "twice": datetime(2017, 2, 19, 1, 30, tzinfo=UTC),  # the first of the two, still at -02:00
        "never": datetime(2017, 10, 15, 3, 30, tzinfo=UTC),  # by the offset before the jump, -03:00
    }


def test_a_sample_takes_whole_customers_in_ascending_order(shop: Shop) -> None:
    shop.holds(
        bought("o1", "2017-06-03 00:00:00", who="bia"),
        bought("o2", "2017-06-02 00:00:00", who="ana"),
        bought("o3", "2017-06-01 00:00:00", who="cai"),
        bought("o4", "2017-06-04 00:00:00", who="bia"),
    )
    taken = {n: [(who.id, who.purchases) for who in shop.at(LATER, n).customers.values()] for n in (0, 1, 2, 3, 4, 9)}
    two = [("ana", 1), ("bia", 2)]
    assert taken == {0: [], 1: [("ana", 1)], 2: two, 3: two, 4: [*two, ("cai", 1)], 9: [*two, ("cai", 1)]}


def test_a_moment_needs_its_zone(shop: Shop) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        shop.holds().at("2017-06-01T00:00:00")


# ------------------------------------------------------------------------------------ lifecycle, activity


@pytest.mark.parametrize(
    ("at", "activity"),
    [
        ("2017-06-01T10:00:00-03:00", "active"),
        ("2017-06-16T09:59:59-03:00", "active"),
        ("2017-06-16T10:00:00-03:00", "stimulate"),  # 15 days
        ("2017-07-31T09:59:59-03:00", "stimulate"),
        ("2017-07-31T10:00:00-03:00", "winback"),  # 60 days
        ("2017-11-28T10:59:59-02:00", "winback"),
        ("2017-11-28T11:00:00-02:00", "lost"),  # 180 times 24 hours, over the beginning of summer time
    ],
)
def test_activity_turns_at_the_second(shop: Shop, at: str, activity: str) -> None:
    shop.holds(Order("o1", "2017-05-30 08:00:00", paid="2017-06-01 10:00:00"))
    assert shop.at(at).customers["ana"].activity == activity


def test_lifecycle_counts_paid_orders_that_were_not_cancelled(shop: Shop) -> None:
    shop.holds(
        Order("o1", "2017-01-01 00:00:00", paid="2017-01-02 00:00:00", payments=("1.00", "0.29")),
        Order("o2", "2017-01-01 00:00:00", paid="2017-01-03 00:00:00", status="shipped", payments=("2.00",)),
        Order(
            "o3", "2017-01-01 00:00:00", paid="2017-01-04 00:00:00", status="canceled", carrier="2017-01-05 00:00:00"
        ),
        Order("o4", "2017-01-01 00:00:00", paid="2017-01-06 00:00:00", payments=()),
        Order("o5", "2017-01-01 00:00:00", paid="2017-01-07 00:00:00", status="unavailable"),
        Order("o6", "2017-01-01 00:00:00", payments=("5.00",)),
    )

    def seen(day: str) -> tuple[object, ...]:
        who = shop.at(f"2017-01-{day}T00:00:00-02:00").customers["ana"]
        last = who.last_purchase and who.last_purchase.day
        return (who.lifecycle, who.activity, who.purchases, last, who.monetary_minor)

    assert seen("01") == ("prospect", None, 0, None, 0)
    assert seen("02") == ("new", "active", 1, 2, 129)
    assert seen("03") == ("repeat", "active", 2, 3, 329)
    assert seen("04") == ("loyal", "active", 3, 4, 1329)
    assert seen("05") == ("repeat", "active", 2, 3, 329)  # the cancellation takes the latest time the order knows
    assert seen("06") == ("loyal", "active", 3, 6, 329)  # an order without payment rows is worth nothing and counts
    assert seen("07") == ("loyal", "active", 3, 6, 329)  # paid and cancelled at one instant
    assert shop.at(LATER).customers["ana"].first_purchase == datetime(2017, 1, 2, 2, tzinfo=UTC)


# ---------------------------------------------------------------------------------------- points and tiers


def test_points_are_whole_reais_of_each_completed_order(shop: Shop) -> None:
    shop.holds(
        bought("o1", "2017-06-01 00:00:00", "1.29", "0.70"),  # 1.99: one point
        bought("o2", "2017-06-02 00:00:00", "0.1", "0.2", "0.7"),  # 1.00 exactly
        Order("o3", "2017-06-03 00:00:00", delivered="2017-06-03 00:00:00", who="bia", payments=()),
        Order("o4", "2017-06-03 00:00:00", delivered="2017-06-03 00:00:00", who="cai", status="shipped"),
        Order("o5", "2017-06-03 00:00:00", delivered="2017-06-03 00:00:00", who="dora", status="canceled"),
        Order("o6", "2017-06-03 00:00:00", paid="2017-06-03 00:00:00", who="eva"),
        Order("o7", "2017-06-03 00:00:00", paid="2017-06-03 00:00:00", who="fay"),
    )
    assert shop.at("2017-06-01T23:59:59-03:00").summary()["points"] == {"total": 1, "accounts": 1}
    after = shop.at("2017-06-03T00:00:00-03:00")
    assert {who.id: who.points for who in after.customers.values()} == {
        "ana": 2,
        "bia": 0,
        "cai": 0,
        "dora": 0,
        "eva": 0,
        "fay": 0,
    }
    assert after.summary()["points"] == {"total": 2, "accounts": 2}  # bia has an account, of nothing


@pytest.mark.parametrize(
    ("spend", "tier"),
    [
        ("499.99", "ordinary"),
        ("500.00", "silver"),
        ("1999.99", "silver"),
        ("2000.00", "gold"),
        ("4999.99", "gold"),
        ("5000.00", "diamond"),
    ],
)
def test_a_tier_is_reached_at_its_centavo_and_at_once(shop: Shop, spend: str, tier: str) -> None:
    shop.holds(Order("o1", "2017-06-01 00:00:00", delivered="2017-06-05 00:00:00", payments=(spend,)))
    assert shop.at("2017-06-04T23:59:59-03:00").customers["ana"].tier == "ordinary"
    assert shop.at("2017-06-05T00:00:00-03:00").customers["ana"].tier == tier


def test_spend_exactly_365_days_old_no_longer_counts(shop: Shop) -> None:
    shop.holds(
        bought("o1", "2017-05-10 12:00:00", "300.00", who="out"),
        bought("o2", "2018-05-10 12:00:00", "200.00", who="out"),
        bought("o3", "2017-05-10 12:00:01", "300.00", who="in"),
        bought("o4", "2018-05-10 12:00:00", "200.00", who="in"),
        bought("o5", "2018-05-10 12:00:00", "250.00", who="two at once"),
        bought("o6", "2018-05-10 12:00:00", "250.00", who="two at once"),
    )
    tiers = {who.id: who.tier for who in shop.at("2018-05-10T12:00:00-03:00").customers.values()}
    assert tiers == {"out": "ordinary", "in": "silver", "two at once": "silver"}


def test_a_tier_falls_only_at_a_quarters_review_and_to_what_the_spend_gives(shop: Shop) -> None:
    shop.holds(bought("o1", "2017-01-10 12:00:00", "1500.00"), bought("o2", "2017-05-01 12:00:00", "500.00"))
    seen = {
        at: shop.at(at).customers["ana"].tier
        for at in (
            "2017-05-01T11:59:59-03:00",
            "2017-05-01T12:00:00-03:00",
            "2018-03-31T23:59:59-03:00",  # the spend has been too small since January
            "2018-04-01T00:00:00-03:00",
            "2018-06-30T23:59:59-03:00",
            "2018-07-01T00:00:00-03:00",
        )
    }
    assert list(seen.values()) == ["silver", "gold", "gold", "silver", "silver", "ordinary"]


def test_the_january_review_is_held_at_midnight_of_summer_time(shop: Shop) -> None:
    shop.holds(bought("o1", "2016-12-20 12:00:00", "600.00"))
    assert shop.at("2017-12-31T23:59:59-02:00").customers["ana"].tier == "silver"
    assert shop.at("2018-01-01T00:00:00-02:00").customers["ana"].tier == "ordinary"


def test_a_completion_at_the_review_counts_before_it(shop: Shop) -> None:
    shop.holds(
        bought("o1", "2017-04-01 00:00:00", "600.00", who="just out"),
        bought("o2", "2017-04-01 00:00:01", "600.00", who="just in"),
        bought("o3", "2017-03-01 00:00:00", "600.00", who="rescued"),
        bought("o4", "2018-04-01 00:00:00", "500.00", who="rescued"),
        bought("o5", "2017-03-01 00:00:00", "600.00", who="too late"),
        bought("o6", "2018-04-01 00:00:01", "499.99", who="too late"),
        bought("o7", "2018-04-01 00:00:01", "500.00", who="up again"),
    )
    tiers = {who.id: who.tier for who in shop.at("2018-04-01T00:00:01-03:00").customers.values()}
    assert tiers == {
        "just out": "ordinary",
        "just in": "silver",
        "rescued": "silver",
        "too late": "ordinary",
        "up again": "silver",
    }
    # What has risen since the review stays, though the spend has meanwhile left the window.
    assert shop.at("2018-06-30T23:59:59-03:00").customers["just in"].tier == "silver"


# ------------------------------------------------------------------------------------------------ messages


def test_reminders_stop_at_a_payment_or_cancellation_of_the_same_instant(shop: Shop) -> None:
    shop.holds(
        Order("o1", "2017-06-01 12:00:00", paid="2017-06-01 12:00:00"),
        Order("o2", "2017-06-01 12:00:00", paid="2017-06-01 12:05:00"),
        Order("o3", "2017-06-01 12:00:00", paid="2017-06-01 12:05:01"),  # 5m
        Order("o4", "2017-06-01 12:00:00", paid="2017-06-02 12:00:00"),  # 5m, 1h
        Order("o5", "2017-06-01 12:00:00"),  # all three
        Order("o6", "2017-06-01 12:00:00", status="canceled"),  # cancelled as placed
        Order("o7", "2017-06-01 12:00:00", carrier="2017-06-01 13:00:00", status="unavailable"),  # 5m
    )
    assert reminders(shop.at(LATER)) == {"5m": {"2017-06": 4}, "1h": {"2017-06": 2}, "24h": {"2017-06": 1}}


def test_a_reminder_due_at_the_moment_asked_for_has_gone(shop: Shop) -> None:
    shop.holds(Order("o1", "2017-06-01 12:00:00", paid="2017-06-01 13:00:01"))
    assert reminders(shop.at("2017-06-01T12:59:59-03:00")) == {"5m": {"2017-06": 1}, "1h": {}, "24h": {}}
    assert reminders(shop.at("2017-06-01T13:00:00-03:00")) == {"5m": {"2017-06": 1}, "1h": {"2017-06": 1}, "24h": {}}


def test_months_are_the_shops(shop: Shop) -> None:
    shop.holds(Order("o1", "2017-05-31 22:30:00"))  # in UTC it is June already
    assert reminders(shop.at(LATER)) == {"5m": {"2017-05": 1}, "1h": {"2017-05": 1}, "24h": {"2017-06": 1}}


def reminders(answer: Answer) -> dict[str, dict[str, int]]:
    return {wait: answer.messages[f"payment_reminder/{wait}"] for wait in ("5m", "1h", "24h")}


def test_every_order_with_a_carrier_date_has_one_dispatch_notice(shop: Shop) -> None:
    shop.holds(
        Order("o1", "2017-06-01 00:00:00", carrier="2017-06-30 23:59:59"),
        Order("o2", "2017-06-01 00:00:00", carrier="2017-07-01 00:00:00", status="canceled"),
        Order("o3", "2017-06-01 00:00:00"),
    )
    assert shop.at("2017-06-30T23:59:59-03:00").messages["dispatch_notice"] == {"2017-06": 1}
    assert shop.at("2017-07-01T00:00:00-03:00").messages["dispatch_notice"] == {"2017-06": 1, "2017-07": 1}


@pytest.mark.parametrize(
    ("other_paid", "other_status", "gifts"),
    [
        ("2017-07-01 12:00:00", "shipped", 1),  # at the very moment of the first gift: only the second is left
        ("2017-07-01 12:00:01", "shipped", 2),
        ("2017-07-01 12:00:00", "canceled", 0),  # a payment all the same, and no gift for what was cancelled
        ("2017-06-01 12:00:00", "shipped", 1),  # both paid at one instant: the greater id is the later
        ("2017-06-01 12:00:00", "canceled", 0),  # so it has ended the first one, though itself cancelled
        ("2017-06-01 11:59:59", "shipped", 1),  # what was paid before ends nothing; this one is ended by the first
    ],
)
def test_a_gift_waits_30_days_for_no_other_payment(shop: Shop, other_paid: str, other_status: str, gifts: int) -> None:
    shop.holds(
        Order("o1", "2017-06-01 00:00:00", paid="2017-06-01 12:00:00"),
        Order("o2", "2017-06-01 00:00:00", paid=other_paid, status=other_status),
    )
    assert sum(shop.at("2017-09-01T12:00:00-03:00").messages["gift_30d"].values()) == gifts


def test_a_gift_due_at_the_moment_asked_for_has_gone(shop: Shop) -> None:
    shop.holds(Order("o1", "2017-06-01 00:00:00", paid="2017-06-01 12:00:00"))
    assert shop.at("2017-07-01T11:59:59-03:00").messages["gift_30d"] == {}
    assert shop.at("2017-07-01T12:00:00-03:00").messages["gift_30d"] == {"2017-07": 1}


def test_a_cancellation_ends_the_gift_up_to_its_very_moment(shop: Shop) -> None:
    def cancelled(order: str, at: str) -> Order:
        return Order(order, "2017-06-01 12:00:00", "2017-06-01 12:00:00", delivered=at, status="canceled", who=order)

    shop.holds(cancelled("just in time", "2017-07-01 12:00:00"), cancelled("too late", "2017-07-01 12:00:01"))
    assert shop.at(LATER).messages["gift_30d"] == {"2017-07": 1}


def test_the_30_days_of_a_gift_are_hours_over_the_end_of_summer_time(shop: Shop) -> None:
    shop.holds(bought("o1", "2017-01-30 00:30:00"))  # by the calendar it would be 1 March
    assert shop.at(LATER).messages["gift_30d"] == {"2017-02": 1}


# ------------------------------------------------------------------------------------------- what is said

QUIET: dict[str, Any] = {
    "at": "2017-01-01T00:00:00-02:00",
    "customers": 0,
    "lifecycle": {
        "prospect": 0,
        "new/active": 0,
        "new/stimulate": 0,
        "new/winback": 0,
        "new/lost": 0,
        "repeat/active": 0,
        "repeat/stimulate": 0,
        "repeat/winback": 0,
        "repeat/lost": 0,
        "loyal/active": 0,
        "loyal/stimulate": 0,
        "loyal/winback": 0,
        "loyal/lost": 0,
    },
    "points": {"total": 0, "accounts": 0},
    "tiers": {"ordinary": 0, "silver": 0, "gold": 0, "diamond": 0},
    "messages": {
        "payment_reminder/5m": {},
        "payment_reminder/1h": {},
        "payment_reminder/24h": {},
        "dispatch_notice": {},
        "gift_30d": {},
    },
}


def test_the_summary_names_every_standing_tier_and_message(shop: Shop) -> None:
    summary = shop.holds(bought("o1", "2017-06-01 00:00:00")).at("2017-01-01T00:00:00-02:00").summary()
    assert json.dumps(summary) == json.dumps(QUIET)


def test_the_command_prints_the_summary_and_writes_both_files(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.holds(
        bought("o1", "2017-06-01 12:00:00", "700.50", who="ana"),
        Order("o2", "2017-06-02 12:00:00", who="bia"),
        Order("o3", "2017-06-02 12:00:00", who="cai"),
    )
    asked = ["--at", "2017-06-02T12:05:00-03:00", "--orders", "2"]
    main([str(shop.folder), *asked, "--json", str(tmp_path / "a.json"), "--customers", str(tmp_path / "a.csv")])
    summary = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert summary == QUIET | {
        "at": "2017-06-02T12:05:00-03:00",
        "customers": 2,
        "lifecycle": QUIET["lifecycle"] | {"prospect": 1, "new/active": 1},
        "points": {"total": 700, "accounts": 1},
        "tiers": {"ordinary": 1, "silver": 1, "gold": 0, "diamond": 0},
        "messages": QUIET["messages"] | {"payment_reminder/5m": {"2017-06": 1}, "dispatch_notice": {"2017-06": 1}},
    }
    assert json.loads(capsys.readouterr().out) == summary
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines() == [
        "id,purchases,first_purchase,last_purchase,monetary_minor,lifecycle,activity,points,tier",
        "ana,1,2017-06-01T15:00:00Z,2017-06-01T15:00:00Z,70050,new,active,700,silver",
        "bia,0,,,0,prospect,,0,ordinary",
    ]
