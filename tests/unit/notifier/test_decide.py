"""What notifier decides, case by case."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common.contracts.envelope import Data
from common.contracts.journeys import MessageRequested
from common.contracts.notifier import DeliveryAttempted, MessageFailed, MessageSent, MessageSuppressed
from common.decision import Decision, Occasion
from notifier.domain.decide import MAX_PARAMS_CHARS, decide
from notifier.domain.state import MAX_PENDING, State

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def asked(key: str = "k", **changes: Any) -> MessageRequested:
    fields: dict[str, Any] = {
        "journey": "payment_reminder",
        "step": "1h",
        "channel": "sms",
        "purpose": "transactional",
        "template": "payment_reminder_1h",
        "params": {"order_id": "o1"},
    }
    return MessageRequested(key, **(fields | changes))


def told(state: State | None, what: Data, *, historic: bool = False, minutes: int = 0) -> Decision[State]:
    at = NOON + timedelta(minutes=minutes)
    occasion = Occasion("shop", "ann", what, at, at, historic, f"cause-{minutes}")
    return decide(lambda one: "no such template" if one.template == "gone" else None, state, occasion)


def test_an_in_app_message_is_sent_at_once() -> None:
    decision = told(None, asked(channel="in_app", step="5m"))
    assert decision.facts == (MessageSent("k", "in_app", "payment_reminder", "5m"),)
    assert decision.state.pending == ()
    assert (decision.state.settled[0].number, decision.state.settled[0].requested_at) == (1, NOON)


def test_an_in_app_message_that_cannot_be_rendered_fails() -> None:
    decision = told(None, asked(channel="in_app", template="gone"))
    assert decision.facts == (MessageFailed("k", "in_app", "payment_reminder", "1h", "no such template"),)


def test_an_sms_waits_for_the_report() -> None:
    waiting = told(None, asked())
    assert waiting.facts == ()
    assert [one.message_key for one in waiting.state.pending] == ["k"]
    sent = told(waiting.state, DeliveryAttempted("k", "sent"), minutes=1)
    assert sent.facts == (MessageSent("k", "sms", "payment_reminder", "1h"),)
    assert sent.state.pending == ()
    assert told(sent.state, DeliveryAttempted("k", "failed", "late"), minutes=2) == Decision(sent.state)


def test_a_report_names_what_went_wrong() -> None:
    waiting = told(None, asked()).state
    failed = told(waiting, DeliveryAttempted("k", "failed", "SMTP 550"))
    assert failed.facts == (MessageFailed("k", "sms", "payment_reminder", "1h", "SMTP 550"),)
    held = told(waiting, DeliveryAttempted("k", "suppressed", "no phone"))
    assert held.facts == (MessageSuppressed("k", "sms", "payment_reminder", "1h", "no phone"),)


def test_a_report_about_nothing_is_nothing() -> None:
    assert told(None, DeliveryAttempted("k", "sent")) == Decision(State())


def test_a_known_key_is_never_told_again() -> None:
    first = told(None, asked(channel="in_app")).state
    again = told(first, asked(channel="sms", step="other"), minutes=1)
    assert again == Decision(first)


def test_history_tells_nobody_but_is_remembered() -> None:
    past = told(None, asked(channel="in_app"), historic=True)
    assert past == Decision(State(keys=("k",)))
    assert told(past.state, asked(channel="in_app"), minutes=1) == Decision(past.state)


def test_there_is_no_social_channel() -> None:
    (fact,) = told(None, asked(channel="social")).facts
    assert fact == MessageFailed("k", "social", "payment_reminder", "1h", "no way to send to social")


def test_what_waits_is_bounded() -> None:
    state: State | None = None
    for number in range(MAX_PENDING):
        state = told(state, asked(f"k{number}")).state
    decision = told(state, asked("one more"))
    (fact,) = decision.facts
    assert fact == MessageSuppressed(
        "one more", "sms", "payment_reminder", "1h", "50 messages to the customer wait already"
    )
    assert len(decision.state.pending) == 50


def test_parameters_are_bounded() -> None:
    decision = told(None, asked(params={"a": "x" * MAX_PARAMS_CHARS}))
    (fact,) = decision.facts
    assert isinstance(fact, MessageFailed)
    assert decision.state.settled[0].params == {}
    assert told(None, asked(params={"a": "x" * (MAX_PARAMS_CHARS - 1)})).facts == ()
