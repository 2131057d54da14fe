"""A journey file: what a good one means, and that a bad one is refused with every fault at its line."""

from datetime import timedelta

import pytest

from common.contracts.ingest import TRAVELLING, HistoryEnded, OrderCancelled, OrderPaid, OrderPlaced
from common.predicate import Comparison
from journeys.domain.graph import Definition, Enter, Leave, Step
from journeys.domain.lines import MAX_CHARS, MAX_DEPTH, Fault
from journeys.domain.parse import MAX_STEPS, parse
from journeys.domain.triggers import CODES, key_fields

GOOD = """\
journey: gift_30d
purpose: marketing
enter:
  on: order.paid
  key: order_id
leave:
  - {on: order.cancelled, key: same}
  - {on: order.paid, key: other}
steps:
  - {step: gift, after: 30d, send: email, template: gift_30d}
"""


def faults(text: str) -> list[tuple[int, str, str]]:
    found = parse(text)
    assert isinstance(found, tuple), found
    return [(fault.line, fault.path, fault.reason) for fault in found]


def test_a_good_file_is_a_definition() -> None:
    assert parse(GOOD) == Definition(
        journey="gift_30d",
        purpose="marketing",
        enter=Enter(OrderPaid, "order_id"),
        steps=(Step("gift", timedelta(hours=720), "email", "gift_30d"),),
        leave=(Leave(OrderCancelled, same=True), Leave(OrderPaid, same=False)),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0d", 0), ("45s", 45), ("5m", 300), ("1h", 3_600), ("36h", 129_600), ("30d", 2_592_000)],
)
def test_durations(text: str, seconds: int) -> None:
    found = parse(GOOD.replace("after: 30d", f"after: {text}"))
    assert isinstance(found, Definition)
    assert found.steps[0].after == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5", "5 m", "05m", "-5m", "1.5h", "1w", "m", "5M", "1:30"])
def test_what_is_no_duration(text: str) -> None:
    [(line, path, reason)] = faults(GOOD.replace("after: 30d", f"after: {text}"))
    assert (line, path) == (10, "$.steps[0].after")
    assert reason == f"{text!r} is no duration; write 0, 30s, 5m, 1h or 30d (30 times 24 hours)"


def test_a_where_is_asked_of_the_events_own_fields() -> None:
    found = parse(
        GOOD.replace("key: order_id", "key: order_id\n  where: {field: amount.amount_minor, op: gte, value: 100}")
    )
    assert isinstance(found, Definition)
    assert found.enter.where == Comparison(("amount", "amount_minor"), "gte", 100)


def test_a_where_keeps_words_that_yaml_takes_for_something_else() -> None:
    text = GOOD.replace("on: order.paid\n", "on: order.cancelled\n").replace(
        "on: order.cancelled, key: same", "on: order.completed, key: same"
    )
    found = parse(
        text.replace("key: order_id", "key: order_id\n  where: {field: reason, op: in, value: [2017-01-01, off, 1.5]}")
    )
    assert isinstance(found, Definition)
    assert found.enter.where == Comparison(("reason",), "in", ("2017-01-01", "off", "1.5"))


def test_every_fault_is_told_with_its_line() -> None:
    text = """\
journey: Gift 30
purpose: bulk
colour: red
enter:
  on: order.placed
  key: cart_id
  where:
    all:
      - {field: amount.amount_minor, op: gte, value: 100}
      - {field: amount.amount_minr, op: gte, value: 100}
leave:
  - {on: order.lost, key: same}
  - {on: order.paid, key: mine}
steps:
  - {step: a, after: 1h, send: sms, template: a}
  - {step: a, after: 5m, send: fax, template: A-1}
  - {step: b, after: soon, send: sms}
  - {step: c, after: 9999d, send: sms, template: c, template: d}
"""
    assert [(line, path) for line, path, _ in faults(text)] == [
        (1, "$.journey"),
        (2, "$.purpose"),
        (3, "$.colour"),
        (6, "$.enter.key"),
        (10, "$.enter.where.all[1].field"),
        (12, "$.leave[0].on"),
        (13, "$.leave[1].key"),
        (16, "$.steps[1].after"),
        (16, "$.steps[1].send"),
        (16, "$.steps[1].step"),
        (16, "$.steps[1].template"),
        (17, "$.steps[2]"),
        (17, "$.steps[2].after"),
        (18, "$.steps[3].after"),
        (18, "$.steps[3].template"),
    ]


STEP = "  - {step: gift, after: 30d, send: email, template: gift_30d}"
ONE_FAULT = (
    ("journey: gift_30d\n", "", 1, "$", "'journey' is missing"),
    ("purpose: marketing", "purpose:", 2, "$.purpose", "must be a plain value"),
    ("purpose: marketing", "purpose: [marketing]", 2, "$.purpose", "must be a plain value"),
    ("purpose: marketing", "purpose: bulk", 2, "$.purpose", "'bulk' is none of transactional, marketing"),
    ("purpose: marketing", "purpose: marketing\npurpose: marketing", 3, "$.purpose", "'purpose' is there twice"),
    ("  key: order_id", "  key: amount", 5, "$.enter.key", "order.paid has no key 'amount'; it has order_id"),
    ("paid, key: other", "paid, key: all", 8, "$.leave[1].key", "'all' is none of same, other"),
    (
        "paid, key: other",
        "paid, key: same",
        8,
        "$.leave[1].on",
        "order.paid enters this very enrollment, it cannot end it; key: other ends the others",
    ),
    ("order.cancelled", "visit", 7, "$.leave[0].on", "visit has no key 'order_id'; it has item_id"),
    ("key: same", "key: *a", 7, "$", "aliases are not taken"),
    ("steps:\n  - {", "steps:\n  {", 10, "$.steps", "must be a list of one or more"),
    (STEP, "  []", 10, "$.steps", "must be a list of one or more"),
    (STEP, "  - gift", 10, "$.steps[0]", "must be a mapping with step, after, send, template"),
    ("step: gift", "step: Gift", 10, "$.steps[0].step", "'Gift' does not match [a-z0-9][a-z0-9_]{0,31}"),
    ("after: 30d", "after: 732d", 10, "$.steps[0].after", "732d is too long; at most 731d"),
    ("send: email", "send: e-mail", 10, "$.steps[0].send", "'e-mail' is none of sms, email, in_app, social"),
    ("template: g", "template: ../g", 10, "$.steps[0].template", "'../gift_30d' does not match [a-z][a-z0-9_]{0,63}"),
)


@pytest.mark.parametrize(("was", "becomes", "line", "path", "reason"), ONE_FAULT)
def test_one_fault_refuses_the_file(was: str, becomes: str, line: int, path: str, reason: str) -> None:
    assert GOOD.count(was) == 1
    assert parse(GOOD.replace(was, becomes)) == (Fault(line, path, reason),)


def test_steps_stand_in_the_order_of_their_moments() -> None:
    text = GOOD + "  - {step: more, after: 1d, send: sms, template: more}\n"
    assert faults(text) == [
        (11, "$.steps[1].after", "comes before the step above it; steps stand in the order of their moments")
    ]
    assert isinstance(parse(text.replace("after: 1d", "after: 30d")), Definition)


def test_more_steps_than_anybody_needs() -> None:
    step = "  - {{step: s{0}, after: 40d, send: sms, template: t}}\n"
    assert isinstance(parse(GOOD + "".join(step.format(n) for n in range(MAX_STEPS - 1))), Definition)
    assert faults(GOOD + "".join(step.format(n) for n in range(MAX_STEPS))) == [
        (10, "$.steps", "51 are too many; at most 50")
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# nothing\n", 1),
        ("journey: [a\nsteps: b\n", 2),
        ("journey: a\n\tsteps: b\n", 2),
        ("journey: a\n\nsteps: \x00\n", 3),
        ("journey: a\n---\njourney: b\n", 2),
        (GOOD + "#" * MAX_CHARS, 1),
        ("\n" + "[" * 5_000, 2),
        ("\n" + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), 2),
    ],
)
def test_what_is_no_page_at_all(text: str, line: int) -> None:
    [(at, path, _reason)] = faults(text)
    assert (at, path) == (line, "$")


@pytest.mark.parametrize("text", ["journeys", "- journey: a", "3"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    assert faults(text)[0] == (1, "$", "must be a mapping with journey, purpose, enter, steps")


def test_every_event_that_has_a_key_can_be_named_and_has_a_letter_of_its_own() -> None:
    assert set(CODES) == {kind for kind in TRAVELLING if key_fields(kind)}
    assert len(set(CODES.values())) == len(CODES)
    assert {len(code) for code in CODES.values()} == {1}
    assert key_fields(OrderPlaced) == ("order_id",)
    assert key_fields(HistoryEnded) == ()
