"""What an installation answers: the counts and their form, and one line per customer."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from loyalty.domain.account import Account
from regulars.history.answer import Answer, Customer, by_month, customer_of, summary, write_customers, write_json
from segmentation.domain.profile.state import Profile, Purchases

SAO_PAULO = timezone(timedelta(hours=-3))
AT = datetime(2018, 9, 1, tzinfo=SAO_PAULO)
SPRING, SUMMER = datetime(2018, 3, 1, 12, tzinfo=UTC), datetime(2018, 6, 1, 12, 30, 15, tzinfo=UTC)

QUIET: dict[str, Any] = {
    "at": "2018-09-01T00:00:00-03:00",
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


def customer(name: str, lifecycle: str, activity: str | None, points: int = 0, tier: str = "ordinary") -> Customer:
    return Customer(name, 1, SPRING, SUMMER, 1_050, lifecycle, activity, points, tier)


def test_of_a_shop_without_customers_every_cell_is_named() -> None:
    assert json.dumps(summary(Answer(AT, [], 0, {}))) == json.dumps(QUIET)


def test_the_counts() -> None:
    answer = Answer(
        AT,
        [
            customer("a", "prospect", None),
            customer("b", "new", "active", 5, "silver"),
            customer("c", "loyal", "lost", -2, "diamond"),
            customer("d", "new", "active", 7),
        ],
        accounts=3,
        messages={"gift_30d": {"2018-02": 2, "2017-12": 1}, "payment_reminder/5m": {"2018-01": 4}},
    )
    assert summary(answer) == QUIET | {
        "customers": 4,
        "lifecycle": QUIET["lifecycle"] | {"prospect": 1, "new/active": 2, "loyal/lost": 1},
        "points": {"total": 10, "accounts": 3},
        "tiers": {"ordinary": 2, "silver": 1, "gold": 0, "diamond": 1},
        "messages": QUIET["messages"]
        | {"gift_30d": {"2017-12": 1, "2018-02": 2}, "payment_reminder/5m": {"2018-01": 4}},
    }


@pytest.mark.parametrize(
    "strange",
    [
        customer("a", "asleep", "active"),
        customer("a", "new", "dormant"),
        customer("a", "new", "active", tier="platinum"),
    ],
)
def test_what_the_form_has_no_place_for_is_not_dropped_silently(strange: Customer) -> None:
    with pytest.raises(AssertionError):
        summary(Answer(AT, [strange], 0, {}))


def test_a_step_the_form_has_no_place_for_is_not_dropped_silently() -> None:
    with pytest.raises(AssertionError):
        summary(Answer(AT, [], 0, {"birthday": {"2018-01": 1}}))


def test_messages_by_month() -> None:
    sent = [("a", "2018-02"), ("b", "2018-01"), ("a", "2018-02"), ("a", "2018-01")]
    assert by_month(sent) == {"a": {"2018-02": 2, "2018-01": 1}, "b": {"2018-01": 1}}


def test_the_files_are_the_same_whatever_the_order(tmp_path: Path) -> None:
    people = [customer("b", "new", "active", 5, "silver"), customer("a", "prospect", None)]
    for number, order in enumerate((people, people[::-1])):
        months = {"2018-01": 1, "2017-01": 2}
        told = months if number else dict(reversed(months.items()))
        answer = Answer(AT, order, 1, {"gift_30d": told})
        write_json(answer, tmp_path / f"{number}.json")
        write_customers(answer, tmp_path / f"{number}.csv")
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()
    assert json.loads((tmp_path / "0.json").read_text())["customers"] == 2
    assert (tmp_path / "0.json").read_bytes()[-2:] == b"}\n"


def test_a_line_per_customer(tmp_path: Path) -> None:
    people = [
        Customer("b", 2, SPRING, SUMMER.astimezone(SAO_PAULO), 1_050, "repeat", "winback", 10, "silver"),
        Customer("a", 0, None, None, 0, "prospect", None, 0, "ordinary"),
    ]
    write_customers(Answer(AT, people, 1, {}), tmp_path / "customers.csv")
    assert (tmp_path / "customers.csv").read_bytes().decode() == (
        "id,purchases,first_purchase,last_purchase,monetary_minor,lifecycle,activity,points,tier\n"
        "a,0,,,0,prospect,,0,ordinary\n"
        "b,2,2018-03-01T12:00:00Z,2018-06-01T12:30:15Z,1050,repeat,winback,10,silver\n"
    )


def test_a_row_from_the_two_states() -> None:
    profile = Profile("repeat", "winback", Purchases(2, SPRING, SUMMER, 1_050))
    account = Account("gold", balance=10)
    assert customer_of("b", profile, account) == Customer(
        "b", 2, SPRING, SUMMER, 1_050, "repeat", "winback", 10, "gold"
    )
    assert customer_of("a", Profile(), None) == Customer("a", 0, None, None, 0, "prospect", None, 0, "ordinary")
