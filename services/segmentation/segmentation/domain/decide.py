"""From what happened to a customer, or merely the passing of time, to its profile and its place in the grid."""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from common.contracts.ingest import (
    CartItemAdded,
    CustomerErased,
    CustomerMerged,
    CustomerRegistered,
    CustomerSplit,
    CustomerUpdated,
    OrderCancelled,
    OrderPaid,
    ReviewSubmitted,
    Visit,
)
from common.contracts.segmentation import LifecycleChanged
from common.contracts.work import StateMoved
from common.decision import AN_INSTANT, Decide, Decision, Occasion, Timer
from segmentation.domain.lifecycle import Rules, classify, days_passed, next_change_at
from segmentation.domain.merge import join, part, still_known, without_person
from segmentation.domain.orders import cancel, pay
from segmentation.domain.state import Carts, Profile, Reviews, Visits

ACTIVITY = "activity"  # the timer's kind: a threshold of time since the last purchase is reached
_NOBODY = Profile()


def decider(rules: Mapping[str, Rules]) -> Decide[Profile]:
    """`decide` by each shop's own rules."""

    def decide(before: Profile | None, occasion: Occasion) -> Decision[Profile]:
        return _decide(before, occasion, rules[occasion.shop_id])

    return decide


def _decide(before: Profile | None, occasion: Occasion, rules: Rules) -> Decision[Profile]:
    """Whatever happened, the customer is classified anew: an event may come at the very instant of a threshold."""
    if isinstance(occasion.what, CustomerMerged) or (isinstance(occasion.what, CustomerErased) and before is not None):
        return _at_rest(before or _NOBODY, occasion, rules)
    profile = _evolve(before or _NOBODY, occasion, rules)
    if isinstance(occasion.what, CustomerSplit):
        before = None  # in no segment until now, so its place is told like a new face's
    lifecycle, activity = classify(profile.purchases, occasion.at, rules)
    due = next_change_at(profile.purchases, occasion.at, rules)
    timers = () if due is None else (Timer(due, ACTIVITY),)
    if before is not None and before.lifecycle == lifecycle and before.activity == activity:
        return Decision(profile, (), timers)
    fact = LifecycleChanged(
        lifecycle=lifecycle,
        activity=activity,
        previous_lifecycle=None if before is None else before.lifecycle,
        previous_activity=None if before is None else before.activity,
        reason=_reason(before, profile, occasion, rules),
    )
    return Decision(replace(profile, lifecycle=lifecycle, activity=activity), (fact,), timers)


def _at_rest(profile: Profile, occasion: Occasion, rules: Rules) -> Decision[Profile]:
    """Nothing is told of who is merged or to be forgotten; a timer due at this very moment has yet to go off."""
    profile = _evolve(profile, occasion, rules)
    due = next_change_at(profile.purchases, occasion.at - AN_INSTANT, rules)
    return Decision(profile, (), () if due is None else (Timer(due, ACTIVITY),))


def _evolve(profile: Profile, occasion: Occasion, rules: Rules) -> Profile:
    """The profile after what happened; most of what happens in a shop leaves it as it is."""
    match occasion.what:
        case OrderPaid(order_id, amount):
            # The edge takes money in the shop's currency alone; here is no rate to turn it by.
            assert amount.currency == rules.currency, f"{amount.currency} in a shop that counts {rules.currency}"
            return pay(profile, order_id, _when(occasion), amount.amount_minor)
        case OrderCancelled(order_id):
            return cancel(profile, order_id)
        case CartItemAdded(item):
            return replace(profile, carts=_carted(profile.carts, item.category, _when(occasion)))
        case Visit():
            return replace(profile, visits=_visited(profile.visits, _when(occasion)))
        case ReviewSubmitted(has_photo=has_photo):
            reviews = profile.reviews or Reviews()
            return replace(profile, reviews=Reviews(reviews.count + 1, reviews.with_photo + has_photo))
        case CustomerRegistered(locale, country, city) | CustomerUpdated(locale, country, city):
            return replace(
                profile,
                locale=locale or profile.locale,
                country=country or profile.country,
                city=city or profile.city,
            )
        case StateMoved() | CustomerErased() as what:
            return _merge_or_forget(profile, what, occasion)
        case _:
            return profile


def _merge_or_forget(profile: Profile, what: StateMoved[Profile] | CustomerErased, occasion: Occasion) -> Profile:
    if isinstance(what, CustomerErased):
        return replace(without_person(profile), erased_at=occasion.at)
    theirs = still_known(what.state, occasion.occurred_at, profile.erased_at)
    return part(profile, theirs) if what.taken_back else join(profile, theirs)


def _when(occasion: Occasion) -> datetime:
    """The sender's time, in whatever zone it was told, in UTC."""
    return occasion.occurred_at.astimezone(UTC)


def _carted(carts: Carts | None, category: str | None, when: datetime) -> Carts:
    if carts is None:
        return Carts(1, when, category)
    if when < carts.last_at:
        return Carts(carts.added + 1, carts.last_at, carts.category or category)
    return Carts(carts.added + 1, when, category or carts.category)


def _visited(visits: Visits | None, when: datetime) -> Visits:
    return Visits(1, when) if visits is None else Visits(visits.count + 1, max(visits.last_at, when))


def _reason(before: Profile | None, profile: Profile, occasion: Occasion, rules: Rules) -> str:
    """Why the customer's place changed: by what it did, else by time alone, else because the rules were edited."""
    if isinstance(occasion.what, CustomerSplit):
        return f"split from {occasion.what.out_of}"
    purchases = None if before is None else before.purchases
    at_rest = classify(purchases, occasion.at, rules)
    after = classify(profile.purchases, occasion.at, rules)
    if after != at_rest:
        match occasion.what:
            case OrderPaid(order_id):
                return f"purchase {order_id}"
            case OrderCancelled(order_id):
                return f"cancelled {order_id}"
            case StateMoved(of=of, taken_back=taken_back):
                return f"{of} split off" if taken_back else f"merged with {of}"
            case _:
                pass
    if before is None:
        return "first seen"
    days = 0 if purchases is None else days_passed(purchases, occasion.at, rules)
    if days and after[0] == before.lifecycle:
        return f"{days} days since the last purchase"
    return "new rules"
