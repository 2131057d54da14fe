"""What a rule may ask about: the kinds of events that are remembered, and the fields of a profile."""

from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from common.contracts.loyalty import Tier

Fields = Mapping[str, type]

_ITEM: Fields = {"item": str, "category": str, "quantity": int, "price": int}  # the price of one, in minor units
_ORDER: Fields = {"order": str, "amount": int, "pieces": int, "items": tuple[str, ...], "categories": tuple[str, ...]}
_MESSAGE: Fields = {"channel": str, "journey": str, "step": str}

# A purchase is an order that was paid and not cancelled; its amount is less what was refunded. All others are the
# events of the same name.
SERIES: Mapping[str, Fields] = {
    "purchase": _ORDER,
    "order.placed": _ORDER,
    "order.cancelled": _ORDER,
    "order.refunded": {"order": str, "amount": int},
    "order.completed": _ORDER,
    "cart.item_added": _ITEM,
    "cart.item_removed": _ITEM,
    "shipment.delivered": {"order": str},
    "review.submitted": {"rating": int, "photo": bool, "topics": tuple[str, ...], "length": int},
    "visit": {"item": str, "category": str},
    "checkin": {},
    "share": {"item": str},
    "message.sent": _MESSAGE,
    "message.delivered": _MESSAGE,
    "message.opened": _MESSAGE,
    "message.clicked": _MESSAGE,
}

FIELDS: Fields = {
    "locale": str,
    "country": str,
    "city": str,
    "tier": str,
    "points": int,
    "tags": tuple[str, ...],
    "refused": tuple[str, ...],  # "sms.marketing" and the like, of consent that was taken back
    "allowed": tuple[str, ...],  # of consent that was given
    "cart.pieces": int,
    "cart.value": int,  # minor units, of what has a price
    "cart.items": tuple[str, ...],
    "cart.categories": tuple[str, ...],
    "cart.changed_at": datetime,
    "first_seen_at": datetime,
    "last_seen_at": datetime,
    # Of models, in domain/models/.
    "lifecycle": str,  # prospect, new, repeat, loyal, fan
    "activity": str,  # active, stimulate, winback, lost
    "product_cycle": str,  # fresh, due, dormant
    "rfm.r": int,  # 1 to 5 by quintiles, where the shop's preset says so by its own bounds
    "rfm.f": int,
    "rfm.m": int,
    "rfm.group": str,
    "rfm_fixed.r": int,  # by the bounds of the preset; 1 is the worst
    "rfm_fixed.f": int,
    "rfm_fixed.m": int,
    "value_grade": str,  # high, mid, low
    "stage": str,  # novice, growth, mature, decline
    "weighted_frequency": int,  # hundredths of a purchase made now, the last step reached
    "activity_score": int,  # of 100
    "carter.category": str,  # what is carted most
    "carter.frequency": str,  # high, mid, low
    "carter.recency": str,  # recent, long_standing
    "intent": str,  # high, mid, low
    "spending_power": str,  # high, mid, low
    "churn.score": int,  # of 100
    "churn.reasons": tuple[str, ...],  # silence, frequency, spend
    "churn.warned_at": datetime,  # the latest warning
    "churn.outcome": str,  # of that: pending, kept, lost
    "churn.offers": tuple[str, ...],  # journeys that sent something since
    "reviews.habit": str,  # none, seldom, often
    "reviews.photos": int,  # reviews with a photo
    "reviews.mood": str,  # good, mixed, bad
    "reviews.topics": tuple[str, ...],
    "preferences.categories": tuple[str, ...],
}
# Before the name of a segment, or of a static list, among what became another and what a segment reads.
OF_SEGMENT, OF_LIST = "segment:", "list:"
ATTRIBUTE = "attributes."  # before the name of a shop's own, or of a class that ingest made of personal data

_GRADES = ("high", "mid", "low")
_CONSENTS = tuple(f"{channel}.marketing" for channel in ("sms", "email", "in_app", "social")) + tuple(
    f"{channel}.transactional" for channel in ("sms", "email", "in_app", "social")
)

# Fields that hold one of a few words: a rule that asks for another would hold for nobody for ever.
VALUES: Mapping[str, tuple[str, ...]] = {
    "refused": _CONSENTS,
    "allowed": _CONSENTS,
    "tier": get_args(Tier),
    "lifecycle": ("prospect", "new", "repeat", "loyal", "fan"),
    "activity": ("active", "stimulate", "winback", "lost"),
    "product_cycle": ("fresh", "due", "dormant"),
    "value_grade": _GRADES,
    "stage": ("novice", "growth", "mature", "decline"),
    "carter.frequency": _GRADES,
    "carter.recency": ("recent", "long_standing"),
    "intent": _GRADES,
    "spending_power": _GRADES,
    "churn.reasons": ("silence", "frequency", "spend"),
    "churn.outcome": ("pending", "kept", "lost"),
    "reviews.habit": ("none", "seldom", "often"),
    "reviews.mood": ("good", "mixed", "bad"),
}
