"""Rows into events: in order of time, grouped, once, whose they are; and what is refused says where and repeats
nothing."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.contracts.ingest import MAX_ITEMS
from ingest.domain.accept import Accepted, accept
from regulars.files import reading, sorting
from regulars.files.as_events import events_of
from tests.unit.regulars.files.stage import NOW, ORDERS, SILENT, came, mapped

HEAD = "nr,who,day,price\n"
LINES = """
format: csv
currency: GBP
zone: Europe/London
columns:
  at: {column: day, type: time}
  pieces: {type: integer}
  price: {type: money, round: true}
  line: {column: price, type: money, times: pieces, round: true}
keep: {none: [{field: line, op: lt, value: 0}]}
group: [nr]
time: at
person: {subject: "{who}"}
events:
  - type: order.placed
    id: "{nr}:placed"
    data:
      order_id: "{nr}"
      amount: {sum: line}
      items: {each: {item_id: "{sku}", quantity: "{pieces}"}, where: {field: sku, op: exists}}
  - {type: order.paid, id: "{nr}:paid", data: {order_id: "{nr}", amount: {sum: line}}}
"""
LINES_HEAD = "nr,who,day,sku,pieces,price\n"
PEOPLE = """
format: csv
zone: UTC
columns:
  at: {column: day, type: time}
time: at
person:
  subject: "{who}"
  identities: {card: "{card}"}
  personal: {phone: "{phone}", email: "{email}", name: "{name}"}
events:
  - {type: customer.registered, id: "{nr}:r", data: {city: "{city}"}}
  - {type: checkin, id: "{nr}:c"}
"""
PEOPLE_HEAD = "nr,day,who,card,phone,email,name,city\n"


def test_events_come_in_order_of_time_whatever_the_files_order(tmp_path: Path) -> None:
    first = HEAD + "1,ana,2026-03-01,1\n2,bia,2026-01-01,2\n"
    second = HEAD + "3,ana,2026-02-01,3\n4,ana,2026-01-01,4\n"
    events = came(mapped(), tmp_path, first, second)
    assert [event["id"] for event in events] == ["2", "4", "3", "1"]
    assert [event["subject"] for event in events.ends] == ["ana", "bia"], "each customer's history is ended, once"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 28)), min_size=1, max_size=30), data=st.data())
def test_what_does_not_fit_in_memory_comes_to_the_same(
    tmp_path: Path, rows: list[tuple[str, int]], data: st.DataObject
) -> None:
    lines = [f"{nr},{nr},2026-01-{day:02},i{n},1,0.10\n" for n, (nr, day) in enumerate(rows)]
    wanted = came(mapped(LINES), tmp_path, LINES_HEAD + "".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "OVERHEAD_BYTES", 64_000_000)  # so that each record is a run of its own
        assert came(mapped(LINES), tmp_path, LINES_HEAD + "".join(lines)) == wanted
    shuffled = came(mapped(LINES), tmp_path, LINES_HEAD + "".join(data.draw(st.permutations(lines))))
    plain = [{**event, "data": {**event["data"], "items": None}} for event in wanted]
    assert sorted(({**event, "data": {**event["data"], "items": None}} for event in shuffled), key=str) == sorted(
        plain, key=str
    )


def test_the_lines_of_an_order_are_one_order(tmp_path: Path) -> None:
    rows = ["7,ana,2026-01-31 10:01,mug,2,0.005", "8,bia,2026-01-30,cup,1,1", "7,ana,2026-01-31 10:00,,3,1.10"]
    events = came(mapped(LINES), tmp_path, LINES_HEAD + "\n".join(rows))
    assert [event["id"] for event in events] == ["8:placed", "8:paid", "7:placed", "7:paid"]
    assert events[2]["time"] == "2026-01-31T10:00:00Z", "the earliest"
    assert events[2]["data"] == {
        "order_id": "7",
        "amount": {"amount_minor": 331, "currency": "GBP"},  # 2 x 0.005 + 3 x 1.10, and only then rounded
        "items": [{"item_id": "mug", "quantity": 2}],
    }


def test_a_fault_in_one_line_of_an_order_refuses_the_order(tmp_path: Path) -> None:
    rows = [
        "7,ana,2026-01-31,mug,2,1",
        "8,bia,2026-01-30,cup,1,1",
        "7,ana,2026-01-31,cap,2,",
        "8,bia,2026-01-30,c,1,-1",
    ]
    events = came(mapped(LINES), tmp_path, LINES_HEAD + "\n".join(rows))
    assert [(event["id"], event["data"]["amount"]["amount_minor"]) for event in events] == [
        ("8:placed", 100),
        ("8:paid", 100),
    ]
    assert events.refused == [
        {
            "file": "0.file",
            "line": 4,
            "path": "$.columns.line",
            "reason": "is missing in a row that is added up",
            "rows": 2,
            "by": "mapping",
        }
    ]
    assert (events.reading.rows, events.reading.left_out) == (4, 1)


def test_a_line_that_is_not_of_the_encoding_is_refused_before_it_is_grouped(tmp_path: Path) -> None:
    text = LINES_HEAD.encode() + b"7,ana,2026-01-31,m\xfcg,1,1\n7,ana,2026-01-31,cup,1,1\n"
    events = came(mapped(LINES), tmp_path, text)
    assert [(r["line"], r["path"]) for r in events.refused] == [(2, "$")]


def test_rows_that_two_files_have_count_once(tmp_path: Path) -> None:
    january = LINES_HEAD + "7,ana,2026-01-31,mug,2,1\n7,ana,2026-01-31,cup,1,1\n"
    both = january + "8,ana,2026-02-01,cup,1,1\n"
    twice, once = (came(mapped(LINES, **more), tmp_path, january, both) for more in ({}, {"once": ["sku"]}))
    assert [event["data"]["amount"]["amount_minor"] for event in twice] == [600, 600, 100, 100]
    assert [event["data"]["amount"]["amount_minor"] for event in once] == [300, 300, 100, 100]


def test_a_row_with_nothing_to_be_grouped_by_stands_alone(tmp_path: Path) -> None:
    mapping = mapped(
        ORDERS.replace('"{nr}"', '"{who}:{day}"').replace("price: money", "price: {type: money, pick: most}"),
        group=["nr"],
    )
    rows = ["1,ana,2026-01-01,1", ",ana,2026-01-02,2", ",ana,2026-01-03,3", "1,ana,2026-01-01,4"]
    amounts = [e["data"]["amount"]["amount_minor"] for e in came(mapping, tmp_path, HEAD + "\n".join(rows))]
    assert amounts == [400, 200, 300]


def test_of_a_group_that_is_too_large_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GROUP_ROWS_MAX", 3)
    events = came(mapped(LINES), tmp_path, LINES_HEAD + "7,ana,2026-01-31,mug,1,1\n" * 5)
    assert (events, [(r["path"], r["rows"]) for r in events.refused]) == ([], [("$.group", 5)])


def test_a_list_holds_what_a_contract_s_list_may(tmp_path: Path) -> None:
    many = MAX_ITEMS + 1
    placed, _ = came(mapped(LINES), tmp_path, LINES_HEAD + "7,ana,2026-01-31,mug,1,1\n" * many)
    assert len(placed["data"]["items"]) == MAX_ITEMS
    assert placed["data"]["amount"]["amount_minor"] == 100 * many


def test_a_wide_row_tells_what_has_a_time(tmp_path: Path) -> None:
    text = """
format: csv
currency: EUR
zone: UTC
columns: {placed: time, paid: time, sent: time, price: money}
person: {subject: "{who}"}
events:
  - {type: order.placed, time: placed, id: "{nr}:1", data: {order_id: "{nr}", amount: "{price}"}}
  - {type: order.paid, time: paid, id: "{nr}:2", data: {order_id: "{nr}", amount: "{price}"}}
  - {type: shipment.dispatched, time: sent, id: "{nr}:3", data: {order_id: "{nr}", carrier: "{carrier}"}}
"""
    rows = "nr,who,placed,paid,sent,price,carrier\n1,a,2026-01-01,2026-01-02,,1,SF\n2,a,2026-01-01,,,1,\n,a,,,,,\n"
    events = came(mapped(text), tmp_path, rows)
    assert [event["id"] for event in events] == ["1:1", "2:1", "1:2"]
    assert events.reading.silent == 1


def test_whose_a_row_is(tmp_path: Path) -> None:
    rows = [
        "1,2026-01-01,u1,c1,+4917012345678,,Ana,Bonn",
        "2,2026-01-02,,c2,,b@example.com,,",
        "3,2026-01-03,,,,d@example.com,,",
    ]
    events = came(mapped(PEOPLE), tmp_path, PEOPLE_HEAD + "\n".join(rows))
    told = [{key: event.get(key) for key in ("id", "subject", "identities", "personal")} for event in events]
    assert told == [
        {
            "id": "1:r",
            "subject": "u1",
            "identities": {"card": "c1"},
            "personal": {"phone": "+4917012345678", "name": "Ana"},
        },
        {"id": "1:c", "subject": "u1", "identities": {"card": "c1"}, "personal": None},  # told once per row
        {"id": "2:r", "subject": None, "identities": {"card": "c2"}, "personal": {"email": "b@example.com"}},
        {"id": "2:c", "subject": None, "identities": {"card": "c2"}, "personal": None},
        {"id": "3:r", "subject": None, "identities": None, "personal": {"email": "d@example.com"}},
        {"id": "3:c", "subject": None, "identities": None, "personal": {"email": "d@example.com"}},
    ]
    assert [{key: end.get(key) for key in ("subject", "identities", "personal")} for end in events.ends] == [
        {"subject": "u1", "identities": None, "personal": None},
        {"subject": None, "identities": {"card": "c2"}, "personal": {"email": "b@example.com"}},
        {"subject": None, "identities": None, "personal": {"email": "d@example.com"}},
    ]
    for event in [*events, *events.ends]:
        assert isinstance(accept(json.dumps(event).encode(), "demo", "EUR", NOW, historic=True), Accepted)


def test_a_refusal_says_where_and_why_and_nothing_more(tmp_path: Path) -> None:
    rows = [
        "1,2026-01-01,ana@example.com,,,,,",
        "2,yesterday,u2,,,,,",
        "3,2026-01-01,,,,,,Bonn",
        ",2026-01-01,u4,,,,,",
        "5,2027-01-01,u5,,,,,",
        f"6,2026-01-01,u6,,+49170{'1' * 300},,,",
        "7,2026-01-01,u 7,,,,,",
    ]
    events = came(mapped(PEOPLE), tmp_path, PEOPLE_HEAD + "\n".join(rows))
    assert events == []
    assert [(r["line"], r["path"]) for r in events.refused] == [
        (2, "$.events[0].subject"),
        (3, "$.columns.at"),
        (4, "$.events[0].person"),
        (5, "$.events[0].id"),
        (6, "$.events[0].time"),
        (7, "$.events[0].personal.phone"),
        (8, "$.events[0].subject"),
    ]
    report = (tmp_path / "refused.ndjson").read_text()
    assert not any(word in report for word in ("ana@", "example", "yesterday", "Bonn", "u4", "+49170", "u 7"))


def test_live_events_may_name_an_order_alone_and_end_no_history(tmp_path: Path) -> None:
    text = ORDERS.replace('person: {subject: "{who}"}\n', "")
    row = HEAD + "1,ana,2026-10-31,1\n"
    assert [event["id"] for event in came(mapped(text), tmp_path, row, historic=False)] == ["1"]
    assert came(mapped(text), tmp_path, row).refused[0]["path"] == "$.events[0].person"


def test_until_is_the_last_moment_that_counts(tmp_path: Path) -> None:
    text = HEAD + "1,ana,2026-01-31,1\n2,ana,2026-02-01,1\n"
    events = came(mapped(zone="UTC"), tmp_path, text, until=datetime(2026, 1, 31, tzinfo=UTC))
    assert ([event["id"] for event in events], events.reading.later) == (["1"], 1)


def test_the_events_that_are_lived_through_are_those_that_are_sent(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(PEOPLE.replace('  subject: "{who}"\n', ""))
    rows = [
        "1,2026-01-03,,c1,,,,",
        "2,2026-01-01,,c2,,,,",
        "3,2026-01-02,,c1,+8613800138000,,,",
        "1,2026-01-04,,c1,,,,",
    ]
    (tmp_path / "people.csv").write_text(PEOPLE_HEAD + "\n".join(rows))
    found, _ = events_of([tmp_path / "people.csv"], str(tmp_path / "map.yaml"), "demo", None, SILENT)
    assert [event.id for event in found] == ["2:r", "2:c", "3:r", "3:c", "1:r", "1:c"]
    people = [event.customer_id for event in found]
    assert (len(set(people)), people[0] == people[1], len(set(people[2:]))) == (2, True, 1), "one card, one customer"
    assert not any(event.historic for event in found)


CELL = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"1", b"-5", b"9" * 30, b"1e400", b"2026-01-31", b"0001-01-01", b'"', b"\0", b"\xed\xa0\x80", b"ana"]
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(rows=st.lists(st.lists(CELL, min_size=5, max_size=7), max_size=8), encoding=st.sampled_from(["utf-8", "gbk"]))
def test_whatever_stands_in_a_file_each_row_is_told_left_out_or_refused(
    tmp_path: Path, rows: list[list[bytes]], encoding: str
) -> None:
    content = LINES_HEAD.encode() + b"\n".join(b",".join(row) for row in rows)
    events = came(mapped(LINES, encoding=encoding), tmp_path, content)
    orders = len({event["id"].rpartition(":")[0] for event in events})
    refused = sum(refusal["rows"] for refusal in events.refused)
    assert orders + refused + events.reading.left_out <= events.reading.rows
    assert bool(orders + refused + events.reading.left_out + events.reading.silent) == bool(events.reading.rows)
    assert all(isinstance(accept(json.dumps(e).encode(), "demo", "GBP", NOW, historic=True), Accepted) for e in events)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    rows=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.dictionaries(st.sampled_from(["nr", "who", "day", "price"]), inner, max_size=4)
                    | st.lists(inner, max_size=3)
                ),
                max_leaves=8,
            ).map(lambda row: json.dumps(row).encode()),
        ),
        max_size=8,
    )
)
def test_whatever_stands_in_a_file_of_json(tmp_path: Path, rows: list[bytes]) -> None:
    events = came(mapped(ORDERS.replace("format: csv", "format: ndjson")), tmp_path, b"\n".join(rows))
    assert (
        len(events) + sum(refusal["rows"] for refusal in events.refused) + events.reading.silent == events.reading.rows
    )
