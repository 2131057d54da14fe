"""What the customers of a simulated shop are at the end, besides what they lived through: scores against each other,
the segments they are in, and for whom the rules of files hold.

Scores need everybody: the quintile scale is made of all who bought, as they are at the end, and all are asked again by
it. That is the shop's own decision, by a rulebook one revision on: as after a publication of scales, or an edit.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from common.contracts.envelope import Data, Event
from common.contracts.ingest import OrderCancelled, OrderPaid
from common.contracts.segmentation import SegmentRecheck
from common.decision import Decide, Occasion, Timer
from regulars.history.answer import Columns, Ended
from segmentation.domain.decide import CHANGE, decider
from segmentation.domain.models.rfm import NAME, RfmModel, purchaser, rfm
from segmentation.domain.models.rfm_scale import Scale, quintiles
from segmentation.domain.profile.person import person_of
from segmentation.domain.profile.state import Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import segment_id
from segmentation.domain.rules.rule import Segment

CHANGES_PLAYED = (
    1_000  # of one customer, after the end: a rule that has not changed by then is told to change no sooner
)
COLUMNS = (
    *("rfm_r", "rfm_f", "rfm_m", "rfm_group", "orders_distinct_days", "first_purchase_day", "last_purchase_day"),
    "segments",
)
IN, OUT = "in", "out"

Cells = tuple[Any, ...]


def days_of(history: Sequence[Event[Data]], zone: ZoneInfo) -> tuple[date, ...]:
    """The days on which orders were first paid that were not cancelled, oldest first."""
    paid: dict[str, datetime] = {}
    for event in history:
        if isinstance(event.data, OrderPaid):
            paid.setdefault(event.data.order_id, event.occurred_at)
    kept = paid.keys() - {event.data.order_id for event in history if isinstance(event.data, OrderCancelled)}
    return tuple(sorted({paid[order_id].astimezone(zone).date() for order_id in kept}))


def columns(ended: Sequence[Ended], book: Rulebook, rules: Sequence[Segment], at: datetime) -> Columns:
    """What COLUMNS names; and of each rule of a file whether it holds, and when that changes if nothing happens."""
    final = _final(book, rules, _scale(ended, book, at))
    wanted = {segment.segment for segment in (*rules, *final.needed(rules))}
    of_rules = replace(final, segments=tuple(each for each in final.segments if each.segment in wanted))
    now, ahead = decider({book.shop_id: final}), decider({book.shop_id: of_rules})
    found: dict[str, Cells] = {}
    for customer in ended:
        profile = _recheck(now, book.shop_id, customer.customer_id, customer.profile, final.revision, at)
        changes = _next_changes(ahead, book.shop_id, customer.customer_id, profile, rules, of_rules.numbers.keys(), at)
        of_files = [cell for rule in rules for cell in (_inside(profile, rule), changes.get(rule.segment))]
        found[customer.customer_id] = (*_cells(customer, profile, final, rules), *of_files)
    of_each = (name for rule in rules for name in (rule.segment, f"{rule.segment}_until"))
    return Columns((*COLUMNS, *of_each), found)


def _scale(ended: Sequence[Ended], book: Rulebook, at: datetime) -> Scale | None:
    people = (person_of(book.shop_id, one.customer_id, book.zone, one.profile, {}, {}) for one in ended)
    buyers = [of for person in people if (of := purchaser(person)) is not None]
    return quintiles(buyers, at) if buyers else None


def _final(book: Rulebook, rules: Sequence[Segment], scale: Scale | None) -> Rulebook:
    """The shop's rulebook with this scale and these segments too, edited since everybody was last asked."""
    revision = book.revision + 1
    models = tuple(rfm(model.plan, scale, revision) if isinstance(model, RfmModel) else model for model in book.models)
    of_files = tuple(replace(rule, revision=revision, preset=False) for rule in rules)
    return replace(book, models=models, segments=(*book.segments, *of_files), revision=revision)


def _recheck(
    decide: Decide[Profile], shop_id: str, customer_id: str, profile: Profile, revision: int, at: datetime
) -> Profile:
    occasion = Occasion(shop_id, customer_id, SegmentRecheck(revision), at, at, historic=False, cause="the end")
    return decide(profile, occasion).state


def _next_changes(
    decide: Decide[Profile],
    shop_id: str,
    customer_id: str,
    profile: Profile,
    rules: Sequence[Segment],
    segments: AbstractSet[str],
    at: datetime,
) -> dict[str, datetime]:
    """When each rule next holds no more, or holds: found by living on, alone."""
    due, found = at, dict[str, datetime]()
    waiting = {rule.segment: _inside(profile, rule) for rule in rules}
    needed = {name: place for name, place in profile.places.items() if name in segments}
    profile = replace(profile, places=needed)
    decision = decide(profile, Occasion(shop_id, customer_id, SegmentRecheck(profile.revision), at, at, False, ""))
    for _ in range(CHANGES_PLAYED):
        if not waiting or not decision.timers:
            return found
        due = min(decision.timers).due
        occasion = Occasion(shop_id, customer_id, Timer(due, CHANGE), due, due, historic=False, cause="")
        decision = decide(decision.state, occasion)
        for rule in rules:
            if rule.segment in waiting and _inside(decision.state, rule) != waiting[rule.segment]:
                found[rule.segment] = due
                del waiting[rule.segment]
    return found | dict.fromkeys(waiting, due)


def _inside(profile: Profile, rule: Segment) -> str:
    place = profile.places.get(rule.segment)
    return IN if place is not None and place.inside else OUT


def _cells(customer: Ended, profile: Profile, book: Rulebook, rules: Sequence[Segment]) -> Cells:
    kept = profile.answers.get(NAME)
    facts = kept.facts if kept is not None else {}
    days = customer.days
    scores = (facts.get(f"rfm.{name}") for name in ("r", "f", "m", "group"))
    own = {rule.segment for rule in rules}
    inside = ";".join(name for name in _segments(profile, book) if name not in own)
    return (*scores, len(days), days[0] if days else None, days[-1] if days else None, inside)


def _segments(profile: Profile, book: Rulebook) -> Iterator[str]:
    """Its cell of lifecycle x activity, then all others in their order."""
    if not profile.closed:
        yield segment_id(profile.lifecycle, profile.activity)
    for segment in book.segments:
        place = profile.places.get(segment.segment)
        if place is not None and place.inside:
            yield segment.segment
