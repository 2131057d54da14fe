"""A batch of the road, without its database: however messages are cut into batches, the same is saved and said."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.batch import Batch, Codec
from common.bus.port import Mark, Message
from common.contracts.envelope import Data, Event, Rejection, encode
from common.contracts.ingest import CheckIn, Tick, Visit
from common.contracts.work import TimerDue
from common.db.states import Key, StateRow
from common.decision import Stored
from common.ids import partition_of
from common.service import refusing
from tests.laws.counting import FAULTY_REMINDER, HOUR, POISON, Counted, Reminded, State, service
from tests.laws.streams import GAPS, SHOP, START, event

TOY = service()
CODEC = Codec(TOY)
EVENTS, WORK = TOY.reads[0].name, TOY.work.name
GARBAGE = (b"", b"{", b"null", b'{"specversion":"1.0"}', b'{"specversion":"\xff"}', b'{"data":' + b"[" * 2_000)
KINDS: st.SearchStrategy[Data | bytes | None] = st.sampled_from(
    [Visit(), CheckIn(), CheckIn(), POISON, FAULTY_REMINDER, *GARBAGE, None]
)
Log = tuple[Message, ...]


def message(number: int, customer_id: str, body: bytes, topic: str = EVENTS) -> Message:
    return Message(topic, partition_of(SHOP, customer_id), Mark(number, 1), f"{SHOP}/{customer_id}", body)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """What a topic holds: events of three customers, some of them poison, bytes that are no events, and ticks."""
    now, log = START, list[Message]()
    for number in range(1, draw(st.integers(1, 25)) + 1):
        now += draw(GAPS)
        name, what = f"c{draw(st.integers(1, 3))}", draw(KINDS)
        said = what if isinstance(what, bytes) else encode(event(number, name, what or Tick(now), now))
        log.append(message(number, name, said))
    return tuple(log)


class Outcome:
    """A database without transactions: states, facts and letters, as they would be saved."""

    def __init__(self) -> None:
        self.rows: dict[Key, StateRow] = {}
        self.facts: list[bytes] = []
        self.letters: list[tuple[str, str, bytes, Rejection]] = []

    def save(self, batch: Batch[State], wakes: Iterable[tuple[Key, datetime]] = ()) -> None:
        customers = dict.fromkeys(batch.events, None) | dict(wakes)
        for key, wake_before in customers.items():
            body = self.rows[key][3] if key in self.rows else None
            batch.decide(key, body, wake_before)
        self.rows |= {row[:2]: row for row in batch.state_rows()}
        self.facts += [encode(fact) for saved in batch.saved for fact in saved.facts]
        self.letters += batch.letters

    def sorted(self) -> tuple[object, ...]:
        """Customers are independent, so only the order of each one's own is looked at."""
        by_customer: dict[str, list[object]] = {}
        for fact in self.facts:
            by_customer.setdefault(msgspec.json.decode(fact)["subject"], []).append(fact)
        letters: dict[str, list[object]] = {}
        for letter in self.letters:
            letters.setdefault(letter[1], []).append(letter)
        return self.rows, by_customer, {key: sorted(map(repr, found)) for key, found in letters.items()}


def run(log: Log, cuts: Iterable[int], end: datetime, wakes: Sequence[datetime] = ()) -> Outcome:
    """Batch by batch; before each, perhaps, every alarm that the watermark has passed goes off."""
    outcome = Outcome()
    edges = sorted({0, *cuts, len(log)})
    for number, (begin, stop) in enumerate(pairwise(edges)):
        if number < len(wakes):
            wake(outcome, wakes[number])
        outcome.save(Batch(TOY, CODEC, log[begin:stop]))
    wake(outcome, end)
    return outcome


def wake(outcome: Outcome, watermark: datetime) -> None:
    due = [key for key, row in outcome.rows.items() if row[4] is not None and row[4] < watermark]
    outcome.save(Batch(TOY, CODEC, ()), [(key, watermark) for key in due])


def end_of(log: Log) -> datetime:
    return START + timedelta(days=len(log) * 400) + HOUR


@given(logs(), st.frozensets(st.integers(1, 25)))
def test_a_log_may_be_cut_anywhere(log: Log, cuts: frozenset[int]) -> None:
    whole = run(log, (), end_of(log)).sorted()
    assert run(log, {cut for cut in cuts if cut < len(log)}, end_of(log)).sorted() == whole
    assert run(log, range(len(log)), end_of(log)).sorted() == whole


@given(logs())
def test_prompt_alarms_change_neither_states_nor_facts_nor_letters(log: Log) -> None:
    """A watermark is at most the time of the next message: then everything before it has been decided."""
    watermarks, latest = [], START
    for each in log:
        decoded = CODEC.event.decode(each.body)
        latest = max(latest, decoded.received_at) if isinstance(decoded, Event) else latest
        watermarks.append(latest)
    silent = run(log, range(len(log)), end_of(log)).sorted()
    assert run(log, range(len(log)), end_of(log), watermarks).sorted() == silent


@given(logs())
def test_every_message_is_counted_buried_or_a_tick_and_the_marks_reach_the_last(log: Log) -> None:
    batch = Batch(TOY, CODEC, log)
    for key in list(batch.events):
        batch.decide(key, None)
    decoded = [CODEC.event.decode(each.body) for each in log]
    ticks = [each for each in decoded if isinstance(each, Event) and isinstance(each.data, Tick)]
    timers = sum(isinstance(fact.data, Reminded) for saved in batch.saved for fact in saved.facts)
    buried_timers = sum(letter.topic == WORK for letter in batch.letters)
    assert len(log) == (batch.decided - timers) + (len(batch.letters) - buried_timers) + len(ticks)
    assert batch.reached == {each.slot: each.mark for each in log}
    last_ticks = {
        each.part: event.data.watermark
        for each, event in zip(log, decoded, strict=True)
        if isinstance(event, Event) and isinstance(event.data, Tick)
    }
    assert batch.watermarks == last_ticks


def test_what_is_no_event_becomes_a_letter_that_says_why_and_holds_the_bytes() -> None:
    batch = Batch(TOY, CODEC, [message(n, "c1", body) for n, body in enumerate(GARBAGE, 1)])
    assert [letter.body for letter in batch.letters] == list(GARBAGE)
    assert {(letter.topic, letter.key) for letter in batch.letters} == {(EVENTS, f"{SHOP}/c1")}
    assert all(letter.rejection.path.startswith("$") and letter.rejection.reason for letter in batch.letters)


def test_a_letter_of_a_poison_event_is_the_event_and_names_the_topic_it_came_by() -> None:
    poison = encode(event(1, "c1", POISON, START))
    batch = Batch(TOY, CODEC, [message(1, "c1", poison)])
    batch.decide((SHOP, "c1"), None)
    assert batch.letters == [(EVENTS, f"{SHOP}/c1", poison, Rejection("$", "ValueError: poison"))]
    assert (batch.saved, batch.decided) == ([], 0)


def test_a_poison_timer_is_the_services_own_work_whenever_it_is_played() -> None:
    first = encode(event(1, "c1", FAULTY_REMINDER, START))
    later = encode(event(2, "c1", Visit(), START + 2 * HOUR))
    batch = Batch(TOY, CODEC, [message(1, "c1", first), message(2, "c1", later)])
    batch.decide((SHOP, "c1"), None)
    (letter,) = batch.letters
    assert letter.topic == WORK
    timer = CODEC.event.decode(letter.body)
    assert isinstance(timer, Event)
    assert timer.data == TimerDue(START + HOUR, "faulty", "1")


def test_a_state_that_did_not_change_is_not_saved() -> None:
    stored = Stored(State(3), START)
    batch = Batch(TOY, CODEC, [message(1, "c1", encode(event(1, "c1", POISON, START + HOUR)))])
    batch.decide((SHOP, "c1"), msgspec.json.encode(stored).decode())
    assert batch.state_rows() == []


def test_one_row_per_customer_with_the_facts_in_order_and_the_alarm_to_set() -> None:
    log = [message(n, "c1", encode(event(n, "c1", CheckIn(), START + n * timedelta(minutes=1)))) for n in (1, 2, 3)]
    batch = Batch(TOY, CODEC, log)
    batch.decide((SHOP, "c1"), None)
    (saved,) = batch.saved
    assert [fact.data for fact in saved.facts] == [Counted(1), Counted(2), Counted(3)]
    ((shop_id, customer_id, part, body, wake_at),) = batch.state_rows()
    assert (shop_id, customer_id, part) == (SHOP, "c1", partition_of(SHOP, "c1"))
    assert CODEC.stored.decode(body) == saved.stored
    assert wake_at == START + timedelta(minutes=61)


def test_refusing_takes_the_due_timers_out_and_leaves_the_rest_as_it_is() -> None:
    before = Batch(TOY, CODEC, [message(n, "c1", encode(event(n, "c1", CheckIn(), START + n * HOUR))) for n in (1, 2)])
    before.decide((SHOP, "c1"), None)
    body = before.state_rows()[0][3]
    batch = Batch(refusing(TOY, "the table is full"), CODEC, ())
    batch.decide((SHOP, "c1"), body, START + 2 * HOUR + timedelta(minutes=1))
    (letter,) = batch.letters
    assert letter.rejection == Rejection("$", "CannotSave: the table is full")
    (saved,) = batch.saved
    assert (saved.facts, saved.stored.state) == ((), before.saved[0].stored.state)
    assert saved.stored.wake_at == START + 3 * HOUR
