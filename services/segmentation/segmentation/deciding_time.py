"""What deciding costs, shown to Prometheus: around the decision, since nothing within it may ask for the time."""

from time import perf_counter
from typing import TypeVar

from common.decision import Decide, Decision, Occasion
from common.telemetry import metrics

S = TypeVar("S")


def measured(decide: Decide[S]) -> Decide[S]:
    """The same decision, its time observed."""

    def timed(before: S | None, occasion: Occasion) -> Decision[S]:
        began = perf_counter()
        decision = decide(before, occasion)
        metrics.SEGMENT_DECISION.observe(perf_counter() - began)
        return decision

    return timed
