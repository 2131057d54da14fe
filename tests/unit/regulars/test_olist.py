"""The reader of the Olist files: every trap of the data, each at the second or the cent where it turns."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.contracts.envelope import Data, Event
from common.contracts.ingest import OrderCompleted, OrderPaid, OrderPlaced, ReviewSubmitted
from common.money import Money
from regulars.bench.olist_folder import NAMES, Order, Review, path_of, write
from regulars.history.olist import OlistError, read


def told(events: list[Event[Data]]) -> list[tuple[str, str]]:
    """Ids and times, as `2017-06-01T15:00:00`, always UTC."""
    return [(event.id, event.occurred_at.astimezone(UTC).isoformat()[:19]) for event in events]


def steps(events: list[Event[Data]]) -> list[str]:
    return [event.id for event in events]


def test_what_an_event_says(tmp_path: Path) -> None:
    write(tmp_path, Order("o1", "2017-06-01 12:00:00", payments=("12.34",)))
    (event,) = read(tmp_path)
    assert event == Event(
        specversion="1.0",
        id="o1:placed",
        source="olist",
        type="order.placed",
        shop_id="olist",
        customer_id="ana",
        occurred_at=datetime(2017, 6, 1, 15, tzinfo=UTC),
        received_at=datetime(2017, 6, 1, 15, tzinfo=UTC),
        data=OrderPlaced("o1", Money(1_234, "BRL")),
    )


def test_at_equal_times_an_order_goes_through_its_steps(tmp_path: Path) -> None:
    at = "2017-06-01 12:00:00"
    write(tmp_path, Review("o1", at), Order("o1", at, at, at, at, "delivered"))
    assert steps(read(tmp_path)) == [
        "o1:placed",
        "o1:paid",
        "o1:dispatched",
        "o1:delivered",
        "o1:completed",
        "o1:review:r1",
    ]


def test_a_cancelled_order_stands_between_delivery_and_review(tmp_path: Path) -> None:
    at = "2017-06-01 12:00:00"
    write(tmp_path, Review("o1", at), Order("o1", at, at, at, at, "canceled"))
    assert steps(read(tmp_path))[-2:] == ["o1:cancelled", "o1:review:r1"]


def test_real_disorder_is_kept(tmp_path: Path) -> None:
    """Approved after the hand-over to the carrier, delivered before it: told in the order of the times."""
    write(
        tmp_path,
        Order("o1", "2017-06-01 12:00:00", "2017-06-03 12:00:00", "2017-06-02 12:00:00", "2017-06-01 18:00:00"),
    )
    assert steps(read(tmp_path)) == ["o1:placed", "o1:delivered", "o1:dispatched", "o1:paid"]


def test_orders_of_one_instant_come_by_id_whole(tmp_path: Path) -> None:
    at = "2017-06-01 12:00:00"
    write(tmp_path, Order("o2", at, at), Order("o1", at, at, who="bia"), Order("o3", "2017-06-01 11:59:59", at))
    assert steps(read(tmp_path)) == ["o3:placed", "o1:placed", "o1:paid", "o2:placed", "o2:paid", "o3:paid"]


def test_reviews_of_one_instant_come_by_id(tmp_path: Path) -> None:
    at = "2017-06-02 12:00:00"
    write(tmp_path, Order("o1", "2017-06-01 12:00:00"), Review("o1", at, review="r2"), Review("o1", at, review="r1"))
    assert steps(read(tmp_path)) == ["o1:placed", "o1:review:r1", "o1:review:r2"]


def test_only_what_was_delivered_is_completed(tmp_path: Path) -> None:
    at = "2017-06-01 12:00:00"
    for status in ("shipped", "invoiced", "canceled", "unavailable", "processing", "approved", "created"):
        write(tmp_path, Order("o1", at, at, at, at, status))
        assert not [event for event in read(tmp_path) if isinstance(event.data, OrderCompleted)], status
    write(tmp_path, Order("o1", at, at, at, "", "delivered"))  # the real data has 8 such orders
    assert steps(read(tmp_path)) == ["o1:placed", "o1:paid", "o1:dispatched"]


@pytest.mark.parametrize("status", ["canceled", "unavailable"])
@pytest.mark.parametrize(
    ("paid", "carrier", "delivered", "latest"),
    [
        ("", "", "", "2017-06-01T15:00:00"),
        ("2017-06-02 12:00:00", "", "", "2017-06-02T15:00:00"),
        ("2017-06-04 12:00:00", "2017-06-03 12:00:00", "", "2017-06-04T15:00:00"),
        ("2017-06-02 12:00:00", "2017-06-03 12:00:00", "2017-05-01 12:00:00", "2017-06-03T15:00:00"),
    ],
)
def test_a_cancellation_is_told_at_the_latest_known_time(
    tmp_path: Path, status: str, paid: str, carrier: str, delivered: str, latest: str
) -> None:
    write(tmp_path, Order("o1", "2017-06-01 12:00:00", paid, carrier, delivered, status))
    assert told(read(tmp_path))[-1] == ("o1:cancelled", latest)


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2017-06-01 12:00:00", "2017-06-01T15:00:00"),
        ("2017-12-01 12:00:00", "2017-12-01T14:00:00"),  # summer there
        ("2016-10-15 23:59:59", "2016-10-16T02:59:59"),  # the last second before summer time
        ("2016-10-16 01:00:00", "2016-10-16T03:00:00"),  # the first one of it
        ("2016-10-16 00:30:00", "2016-10-16T03:30:00"),  # never was: read by the offset before (fold 0)
        ("2017-02-18 22:59:59", "2017-02-19T00:59:59"),
        ("2017-02-18 23:30:00", "2017-02-19T01:30:00"),  # was twice: the first of them (fold 0)
        ("2017-02-19 00:00:00", "2017-02-19T03:00:00"),
    ],
)
def test_local_times_are_read_with_summer_time(tmp_path: Path, local: str, utc: str) -> None:
    write(tmp_path, Order("o1", local))
    assert told(read(tmp_path)) == [("o1:placed", utc)]


@pytest.mark.parametrize(
    ("payments", "amount_minor"),
    [
        ((), 0),
        (("0.00",), 0),
        (("10.00", "5.5", "0.07"), 1_557),
        (("0.29",), 29),  # as a float 0.29 * 100 is 28.999999999999996
        (("1234567.89", "0.01"), 123_456_790),
    ],
)
def test_an_amount_is_the_sum_of_all_payments(tmp_path: Path, payments: tuple[str, ...], amount_minor: int) -> None:
    at = "2017-06-01 12:00:00"
    write(tmp_path, Order("o1", at, at, at, at, "delivered", payments=payments), Order("o2", at, payments=("99.99",)))
    data = [event.data for event in read(tmp_path) if event.id.startswith("o1")]
    amounts = [each.amount for each in data if isinstance(each, OrderPlaced | OrderPaid | OrderCompleted)]
    assert amounts == [Money(amount_minor, "BRL")] * 3


def test_a_person_is_the_same_over_orders_and_reviews(tmp_path: Path) -> None:
    write(
        tmp_path,
        Order("o1", "2017-06-01 12:00:00", who="ana"),
        Order("o2", "2017-06-02 12:00:00", who="bia"),
        Order("o3", "2017-06-03 12:00:00", who="ana"),
        Review("o3", "2017-06-04 12:00:00"),
    )
    assert [event.customer_id for event in read(tmp_path)] == ["ana", "bia", "ana", "ana"]


def test_reviews_share_ids_and_orders_have_several(tmp_path: Path) -> None:
    at = "2017-06-01 12:00:00"
    write(
        tmp_path,
        Order("o1", at),
        Order("o2", at),
        Review("o1", "2017-06-02 12:00:00", score=1, review="same"),
        Review("o2", "2017-06-02 12:00:01", score=2, review="same"),
        Review("o1", "2017-06-02 12:00:02", score=3, review="other"),
    )
    reviews = [(event.id, event.data) for event in read(tmp_path) if isinstance(event.data, ReviewSubmitted)]
    assert reviews == [
        ("o1:review:same", ReviewSubmitted(1, "o1")),
        ("o2:review:same", ReviewSubmitted(2, "o2")),
        ("o1:review:other", ReviewSubmitted(3, "o1")),
    ]


def test_a_review_without_an_answer_has_not_happened(tmp_path: Path) -> None:
    write(tmp_path, Order("o1", "2017-06-01 12:00:00"), Review("o1", ""))
    assert steps(read(tmp_path)) == ["o1:placed"]


def test_the_text_of_a_review_stays_in_its_file(tmp_path: Path) -> None:
    text = 'good, "very" good\r\n\r\n"again, he said\n'
    write(tmp_path, Order("o1", "2017-06-01 12:00:00"), Review("o1", "2017-06-02 12:00:00", text=text))
    events = read(tmp_path)
    assert len(events) == 2
    assert "again" not in repr(events)


def test_until_takes_what_happened_at_that_very_moment(tmp_path: Path) -> None:
    write(tmp_path, Order("o1", "2017-06-01 12:00:00", "2017-06-01 12:00:01"))
    assert steps(read(tmp_path, datetime.fromisoformat("2017-06-01T12:00:00-03:00"))) == ["o1:placed"]
    assert steps(read(tmp_path, datetime.fromisoformat("2017-06-01T12:00:01-03:00"))) == ["o1:placed", "o1:paid"]
    assert read(tmp_path, datetime.fromisoformat("2017-06-01T11:59:59-03:00")) == []


def test_a_cancellation_after_until_has_not_moved_before_it(tmp_path: Path) -> None:
    write(tmp_path, Order("o1", "2017-06-01 12:00:00", "2017-06-05 12:00:00", status="canceled"))
    assert steps(read(tmp_path, datetime.fromisoformat("2017-06-04T12:00:00-03:00"))) == ["o1:placed"]


# ---------------------------------------------------------------------------------------------- the sample


@pytest.mark.parametrize(("orders", "people"), [(1, "a"), (2, "ab"), (3, "abc"), (4, "abc"), (5, "abcd"), (9, "abcd")])
def test_a_sample_is_whole_customers_in_order_of_id(tmp_path: Path, orders: int, people: str) -> None:
    """Until they have so many orders: a has one, b one, c two, d one."""
    at = "2017-06-01 12:00:00"
    of = {"o9": "a", "o8": "c", "o7": "d", "o6": "c", "o5": "b"}
    write(tmp_path, *(Order(order, at, who=who) for order, who in of.items()), *(Review(order, at) for order in of))
    events = read(tmp_path, None, orders)
    assert "".join(sorted(event.customer_id for event in events if isinstance(event.data, OrderPlaced))) == "".join(
        sorted(who for who in of.values() if who in people)
    )
    reviewers = {event.customer_id for event in events if isinstance(event.data, ReviewSubmitted)}
    assert reviewers == set(people)


def test_a_sample_is_drawn_before_time_cuts_it(tmp_path: Path) -> None:
    """Whoever is in the sample is so at every moment asked for."""
    write(
        tmp_path,
        Order("o1", "2018-01-01 12:00:00", who="ana"),
        Order("o2", "2017-01-01 12:00:00", who="bia"),
    )
    assert read(tmp_path, datetime(2017, 6, 1, tzinfo=UTC), 1) == []


# ------------------------------------------------------------------------------------- a folder with a fault

ONE = Order("o1", "2017-06-01 12:00:00", "2017-06-01 12:00:00")


def test_an_empty_folder_is_told_with_all_that_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(OlistError) as told:
        read(tmp_path)
    assert str(told.value) == (
        f"{tmp_path} is not the Olist data set: olist_orders_dataset.csv, olist_customers_dataset.csv, "
        "olist_order_payments_dataset.csv, olist_order_reviews_dataset.csv not found"
    )


def test_a_folder_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(
        OlistError, match=r"nowhere is not the Olist data set: olist_orders_dataset\.csv, .* not found$"
    ):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path_of(write(tmp_path, ONE), name).unlink()
    with pytest.raises(OlistError) as told:
        read(tmp_path)
    assert str(told.value) == f"{tmp_path} is not the Olist data set: olist_{name}_dataset.csv not found"


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    path_of(write(tmp_path, ONE), name).write_bytes(b"")
    with pytest.raises(OlistError, match=rf"^olist_{name}_dataset\.csv has no column "):
        read(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = path_of(write(tmp_path, ONE), "orders")
    path.write_text(path.read_text().replace("order_approved_at", "approved").replace("order_status", "status"))
    with pytest.raises(OlistError, match=r"^olist_orders_dataset\.csv has no column order_status, order_approved_at$"):
        read(tmp_path)


def cut(bytes_left: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:bytes_left]


@pytest.mark.parametrize("name", ["customers", "orders", "order_payments", "order_reviews"])
def test_a_file_cut_off_anywhere_in_its_last_line_is_told(tmp_path: Path, name: str) -> None:
    """Wherever the copy stopped: inside a column, after one, inside a quoted text, or just before the line's end."""
    review = Review("o1", "2017-06-02 12:00:00", text='one, "two"\nthree')
    path = path_of(write(tmp_path, ONE, Review("o1", "2017-06-02 12:00:00"), review), name)
    whole = path.read_bytes()
    line_begins = whole[:-1].rindex(b"\nr1,") + 1 if name == "order_reviews" else whole[:-1].rindex(b"\n") + 1
    for length in range(line_begins + 1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(OlistError, match=rf"^olist_{name}_dataset\.csv(:\d+)? is cut off: "):
            read(tmp_path)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("customers", "order o2 has no purchase time or no customer: the files do not belong together"),
        ("orders", r"olist_order_payments_dataset\.csv:3 is of an order 'o2' that olist_orders_dataset.csv does not"),
    ],
)
def test_a_file_cut_off_between_two_lines_does_not_fit_the_others(tmp_path: Path, name: str, fault: str) -> None:
    path = path_of(write(tmp_path, ONE, Order("o2", "2017-06-01 12:00:00")), name)
    path.write_bytes(path.read_bytes()[: path.read_bytes()[:-1].rindex(b"\n") + 1])
    with pytest.raises(OlistError, match=fault):
        read(tmp_path)


def test_a_line_with_too_much_is_told(tmp_path: Path) -> None:
    path = path_of(write(tmp_path, ONE, Order("o2", "2017-06-01 12:00:00")), "order_payments")
    path.write_text(path.read_text().replace("o1,1,", "o1,1,,"))
    with pytest.raises(OlistError, match=r"^olist_order_payments_dataset\.csv:2 has too much: 6 of 5 columns$"):
        read(tmp_path)


def test_a_review_of_an_unknown_order_is_told(tmp_path: Path) -> None:
    write(tmp_path, ONE, Review("o9", "2017-06-01 12:00:00"))
    with pytest.raises(OlistError, match=r"^olist_order_reviews_dataset\.csv:2 is of an order 'o9' that "):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "good", "bad", "fault"),
    [
        ("orders", "2017-06-01 12:00:00", "01/06/2017", "'01/06/2017' is not a time"),
        ("order_payments", "10.00", "ten", "'ten' is not an amount"),
        ("order_payments", "10.00", "NaN", "'NaN' is not an amount"),
        ("order_payments", "10.00", "-1.00", "'-1.00' is not an amount"),
        ("order_payments", "10.00", "1.005", "'1.005' is not an amount"),
        ("order_reviews", ",4,", ",6,", "'6' is not a score"),
        ("order_reviews", ",4,", ",good,", "'good' is not a score"),
    ],
)
def test_a_value_that_can_not_be_read_is_told_with_its_place(
    tmp_path: Path, name: str, good: str, bad: str, fault: str
) -> None:
    path = path_of(write(tmp_path, ONE, Review("o1", "2017-06-01 12:00:00", score=4)), name)
    path.write_text(path.read_text().replace(good, bad))
    with pytest.raises(OlistError) as told:
        read(tmp_path)
    assert str(told.value) == f"{path.name}:2: {fault}"


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = path_of(write(tmp_path, ONE), "customers")
    path.write_bytes(path.read_bytes().replace(b"sao", b"s\xe3o"))
    with pytest.raises(OlistError, match=r"^olist_customers_dataset\.csv is not UTF-8"):
        read(tmp_path)
