"""What is said about a customer once its models were asked: where it stands now and stood before."""

from collections.abc import Iterator, Mapping

from common.contracts.envelope import Data
from common.contracts.segmentation import ChurnWarned, LifecycleChanged, RfmChanged
from segmentation.domain.asking import ACTIVITY, LIFECYCLE, Asking
from segmentation.domain.models.churn import FIELDS as OF_CHURN
from segmentation.domain.models.churn import warns
from segmentation.domain.profile.state import Kept, Profile, Value

RFM = ("rfm.r", "rfm.f", "rfm.m", "rfm.group")
CHURN_REASONS, CHURN_SCORE = "churn.reasons", "churn.score"
TOLD_APART = frozenset((*RFM, *OF_CHURN))  # facts that have an event of their own


def moved(before: Profile | None, after: Profile, asked: Asking) -> Iterator[Data]:
    """Lifecycle and activity, of a new face in any case."""
    if before is not None and (before.lifecycle, before.activity) == (after.lifecycle, after.activity):
        return
    yield LifecycleChanged(
        lifecycle="loyal" if after.lifecycle == "fan" else after.lifecycle,
        activity=after.activity,
        previous_lifecycle=None if before is None else "loyal" if before.lifecycle == "fan" else before.lifecycle,
        previous_activity=None if before is None else before.activity,
        reason=asked.reason_of(LIFECYCLE, ACTIVITY),
        fan=after.lifecycle == "fan",
        previous_fan=before is not None and before.lifecycle == "fan",
    )


def modelled(before: Profile | None, asked: Asking) -> Iterator[Data]:
    """Scores that are others now, and a warning that began."""
    if before is not None and TOLD_APART.isdisjoint(asked.touched):
        return
    was, now = (_facts(answers) for answers in (before.answers if before is not None else {}, asked.answers))
    if any(was.get(name) != now.get(name) for name in RFM):
        r, f, m = (_number(now.get(name)) for name in RFM[:3])
        yield RfmChanged(r, f, m, str(now.get(RFM[3], "")), asked.reason_of(*RFM))
    reasons = now.get(CHURN_REASONS)
    if isinstance(reasons, tuple) and warns(was, now):
        yield ChurnWarned(reasons, _number(now.get(CHURN_SCORE)))


def _facts(answers: Mapping[str, Kept]) -> dict[str, Value]:
    return {name: value for kept in answers.values() for name, value in kept.facts.items()}


def _number(value: Value | None) -> int:
    return value if isinstance(value, int) else 0
