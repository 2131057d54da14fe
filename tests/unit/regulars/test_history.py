"""An import's lines and its cursor: what is sent is what was read, and where it goes on."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from msgspec.structs import replace

from common.contracts.envelope import Data, Event, encode
from ingest.domain.accept import Accepted, accept
from regulars.bench.olist_folder import Order, Review, write
from regulars.history.cursor import Cursor
from regulars.history.lines import lines
from regulars.history.olist import read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2018, 9, 1, 3, tzinfo=UTC)
SAO_PAULO = timezone(timedelta(hours=-3))


def events(folder: Path) -> list[Event[Data]]:
    write(
        folder,
        Order("o1", "2017-06-01 12:00:00", "2017-06-01 12:00:00", who="ana", payments=("12.34",)),
        Order("o2", "2017-06-02 12:00:00", who="bia"),
        Review("o1", "2017-06-03 12:00:00"),
    )
    return read(folder)


def taken(history: list[Event[Data]]) -> list[Event[Data]]:
    """The lines of the history, as ingest reads them."""
    outcomes = [accept(line.body, "olist", "BRL", NOW, historic=True) for line in lines(history, "i1")]
    accepted = [outcome.event for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len(accepted) == len(outcomes)
    return accepted


def test_ingest_reads_the_lines_as_the_events_they_were(tmp_path: Path) -> None:
    history = events(tmp_path)
    told = [event for event in taken(history) if event.type != "history.ended"]
    assert all(event.historic for event in told)
    assert [encode(replace(event, historic=False)) for event in told] == [encode(event) for event in history]


def test_each_customer_s_history_is_ended_once_behind_its_last_event(tmp_path: Path) -> None:
    """Until then the customer is in the past, and nothing that happens meanwhile tells the person anything."""
    told = taken(events(tmp_path))
    assert [(event.customer_id, event.id, event.historic) for event in told] == [
        ("ana", "o1:placed", True),
        ("ana", "o1:paid", True),
        ("bia", "o2:placed", True),
        ("bia", "i1:bia", False),
        ("ana", "o1:review:r1", True),
        ("ana", "i1:ana", False),
    ]


def test_a_cursor_goes_on_where_it_was(tmp_path: Path) -> None:
    history = events(tmp_path / "olist")
    cursor = Cursor(tmp_path, "olist", map(encode, history), UNTIL)
    assert cursor.load() == 0
    cursor.save(3)
    again = Cursor(tmp_path, "olist", map(encode, history), UNTIL)
    assert (again.id, again.load()) == (cursor.id, 3)


def test_a_cursor_is_of_one_history_one_end_and_one_target(tmp_path: Path) -> None:
    history = events(tmp_path / "olist")
    Cursor(tmp_path, "olist", map(encode, history), UNTIL).save(3)
    assert Cursor(tmp_path, "olist", map(encode, history), None).load() == 0
    assert Cursor(tmp_path, "olist", map(encode, history[:-1]), UNTIL).load() == 0
    assert Cursor(tmp_path, "olist", map(encode, history), UNTIL, "http://elsewhere:8000").load() == 0
    assert Cursor(tmp_path, "olist", map(encode, history), UNTIL, "http://elsewhere:8001").load() == 0
    assert Cursor(tmp_path, "other", map(encode, history), UNTIL).load() == 0


def test_other_amounts_are_another_history(tmp_path: Path) -> None:
    """As when a half copied file was mended: as many events, from the same to the same, and not the same."""
    history = events(tmp_path / "olist")
    Cursor(tmp_path, "olist", map(encode, history), UNTIL).save(3)
    path = tmp_path / "olist" / "olist_order_payments_dataset.csv"
    path.write_text(path.read_text().replace("12.34", "12.35"))
    assert Cursor(tmp_path, "olist", map(encode, read(tmp_path / "olist")), UNTIL).load() == 0


def test_the_import_of_a_history_has_the_same_name_everywhere(tmp_path: Path) -> None:
    """Its name stands in the ids of history.ended: sent again, from anywhere, they are known."""
    history = events(tmp_path / "olist")
    here = list(lines(history, Cursor(tmp_path / "a", "olist", map(encode, history), UNTIL).id))
    there = Cursor(tmp_path / "b", "olist", map(encode, history), UNTIL.astimezone(SAO_PAULO), "http://elsewhere:8000")
    assert here == list(lines(history, there.id))
    assert json.loads(here[-1].body)["type"] == "history.ended"
