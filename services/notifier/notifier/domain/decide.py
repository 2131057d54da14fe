"""The decision of notifier: each message once, told in the app at once, by other ways when the sender has tried."""

from collections.abc import Callable

from msgspec import structs

from common.contracts.envelope import Data
from common.contracts.ingest import ConsentChanged, CustomerErased, CustomerMerged, CustomerSplit
from common.contracts.journeys import MessageRequested
from common.contracts.notifier import DeliveryAttempted, MessageFailed, MessageOutcome, MessageSent, MessageSuppressed
from common.contracts.work import StateMoved
from common.decision import Decide, Decision, Occasion
from notifier.domain.state import MAX_KEYS, MAX_PENDING, MAX_SETTLED, Message, State

MAX_PARAMS_CHARS = 4_000  # names and values of all parameters together
NO_CONSENT = "no consent"
HEEDS: frozenset[type[Data]] = frozenset(
    {
        MessageRequested,
        DeliveryAttempted,
        ConsentChanged,
        CustomerErased,
        CustomerMerged,
        CustomerSplit,
        StateMoved,
    }
)
OUTCOMES: dict[str, type[MessageOutcome]] = {
    "sent": MessageSent,
    "failed": MessageFailed,
    "suppressed": MessageSuppressed,
}

Check = Callable[[MessageRequested], str | None]  # why the message cannot be rendered, or None


def decider(check: Check) -> Decide[State]:
    """Binds the check by the shop's templates to the decision."""

    def decide_with_templates(state: State | None, occasion: Occasion) -> Decision[State]:
        return decide(check, state, occasion)

    return decide_with_templates


def decide(check: Check, state: State | None, occasion: Occasion) -> Decision[State]:
    """What becomes of a request or of the sender's report, and what is known of the person's will. A merged customer's
    messages that wait are still its own; every other event changes nothing."""
    state = state or State()
    match occasion.what:
        case MessageRequested() as asked:
            return _on_request(check, state, asked, occasion)
        case DeliveryAttempted() as attempt:
            return _on_attempt(state, attempt)
        case ConsentChanged(channel=channel, purpose=purpose, granted=granted):
            others = set(state.refused) - {(channel, purpose)}
            refused = others if granted else others | {(channel, purpose)}
            return Decision(structs.replace(state, refused=tuple(sorted(refused))))
        case StateMoved(state=theirs, taken_back=False):
            return Decision(_join(state, theirs))
        case CustomerErased():
            return Decision(_forget(state))
        case _:
            return Decision(state)


def _on_request(check: Check, state: State, asked: MessageRequested, occasion: Occasion) -> Decision[State]:
    if asked.message_key in state.keys:
        return Decision(state)
    state = structs.replace(state, keys=(*state.keys, asked.message_key)[-MAX_KEYS:])
    if occasion.historic:  # it was told when it happened, or never will be; a live request of the same key is a repeat
        return Decision(state)
    too_large = sum(len(name) + len(str(value)) for name, value in asked.params.items()) > MAX_PARAMS_CHARS
    message = Message(
        number=state.accepted + 1,
        message_key=asked.message_key,
        channel=asked.channel,
        purpose=asked.purpose,
        journey=asked.journey,
        step=asked.step,
        template=asked.template,
        params={} if too_large else asked.params,
        requested_at=occasion.at,
    )
    state = structs.replace(state, accepted=message.number)
    if (message.channel, message.purpose) in state.refused:
        return _settle(state, message, "suppressed", NO_CONSENT)
    if too_large:
        return _settle(state, message, "failed", f"its parameters are longer than {MAX_PARAMS_CHARS} characters")
    if message.channel == "social":
        return _settle(state, message, "failed", "no way to send to social")
    if message.channel == "in_app":  # nobody renders it before the customer looks, so a fault is found out now
        fault = check(asked)
        return _settle(state, message, "sent" if fault is None else "failed", fault)
    if len(state.pending) >= MAX_PENDING:
        return _settle(state, message, "suppressed", f"{MAX_PENDING} messages to the customer wait already")
    return Decision(structs.replace(state, pending=(*state.pending, message)))


def _on_attempt(state: State, attempt: DeliveryAttempted) -> Decision[State]:
    """The first report about a message counts; one about a message that does not wait counts for nothing."""
    message = next((one for one in state.pending if one.message_key == attempt.message_key), None)
    if message is None:
        return Decision(state)
    left = tuple(one for one in state.pending if one.message_key != attempt.message_key)
    return _settle(structs.replace(state, pending=left), message, attempt.outcome, attempt.reason)


def _join(ours: State, theirs: State) -> State:
    """Nothing that either was told is told again, and a no of either holds. Neither is undone by a split: at worst
    somebody is told too little."""
    new = tuple(key for key in theirs.keys if key not in set(ours.keys))
    refused = tuple(sorted({*ours.refused, *theirs.refused}))
    return structs.replace(ours, keys=(*new, *ours.keys)[-MAX_KEYS:], refused=refused)


def _forget(state: State) -> State:
    """No words are left of what was told or waits. What waits goes nowhere: the vault has no address any more."""
    return structs.replace(
        state,
        pending=tuple(structs.replace(message, params={}) for message in state.pending),
        settled=tuple(structs.replace(message, params={}) for message in state.settled),
        erased_up_to=state.accepted,
    )


def _settle(state: State, message: Message, outcome: str, reason: str | None) -> Decision[State]:
    fact: Data = OUTCOMES[outcome](message.message_key, message.channel, message.journey, message.step, reason)
    return Decision(structs.replace(state, settled=(*state.settled, message)[-MAX_SETTLED:]), (fact,))
