"""One customer's way through one journey: beginning it, taking the steps whose moment has come, finishing it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

from msgspec import structs

from common.contracts.envelope import Data
from common.contracts.journeys import JourneyEntered, JourneyLeft, MessageRequested
from common.decision import Occasion
from common.ids import MAX_ID_CHARS, derived_id
from journeys.domain.enrollment import Enrollment
from journeys.domain.graph import FINISHED, Definition, Step
from journeys.domain.triggers import amount_of

AT_ONCE = timedelta(0)
Walked = tuple[Enrollment | None, tuple[Data, ...]]  # the enrollment while it lasts, and what is said


def begin(definition: Definition, key: str, data: Data, occasion: Occasion) -> Walked:
    """Enters the journey and takes the steps that follow the event at once.

    Those are taken however late the event came: they tell the news itself. A later step whose moment has passed
    already is skipped: nobody gets three reminders in a heap. A later step due at this very moment waits for its
    timer, since other news of the same moment goes before it.
    """
    enrollment = Enrollment(
        journey=definition.journey,
        key=key,
        since=occasion.occurred_at,
        due=occasion.occurred_at,
        amount=amount_of(data),
    )
    at_once = [step for step in definition.steps if step.after == AT_ONCE]
    said = (JourneyEntered(definition.journey, key), *_messages(definition, enrollment, at_once, occasion))
    return _go_on(definition, enrollment, len(at_once), not_before=occasion.at, said=said)


def resume(definition: Definition, enrollment: Enrollment, occasion: Occasion) -> Walked:
    """Takes every step due at the enrollment's moment, which has come.

    A moment comes late only when its decision failed once and is replayed: then, too, steps missed meanwhile are
    skipped.
    """
    first, now = enrollment.next_step, enrollment.due - enrollment.since
    steps = [step for step in islice(definition.steps, first, None) if step.after <= now]
    said = _messages(definition, enrollment, steps, occasion)
    return _go_on(definition, enrollment, first + len(steps), not_before=occasion.at, said=said)


def leave(enrollment: Enrollment, reason: str) -> JourneyLeft:
    """The fact that ends an enrollment."""
    return JourneyLeft(enrollment.journey, enrollment.key, reason)


def _go_on(
    definition: Definition, enrollment: Enrollment, step: int, not_before: datetime, said: tuple[Data, ...]
) -> Walked:
    for place, upcoming in enumerate(islice(definition.steps, step, None), start=step):
        due = enrollment.since + upcoming.after
        if due >= not_before:
            return structs.replace(enrollment, due=due, next_step=place), said
    return None, (*said, leave(enrollment, FINISHED))


def _messages(
    definition: Definition, enrollment: Enrollment, steps: Iterable[Step], occasion: Occasion
) -> tuple[Data, ...]:
    if occasion.historic:  # an import asks for nothing: all this was said when it happened, or never will be
        return ()
    params: dict[str, str | int] = {definition.enter.key: enrollment.key}
    if enrollment.amount is not None:
        params |= {"amount_minor": enrollment.amount.amount_minor, "currency": enrollment.amount.currency}
    return tuple(
        MessageRequested(
            message_key=_message_key(definition.journey, enrollment.key, step.step),
            journey=definition.journey,
            step=step.step,
            channel=step.send,
            purpose=definition.purpose,
            template=step.template,
            params=params,
        )
        for step in steps
    )


def _message_key(journey: str, key: str, step: str) -> str:
    plain = f"{journey}:{key}:{step}"
    return plain if len(plain) <= MAX_ID_CHARS else derived_id(journey, key, step)
