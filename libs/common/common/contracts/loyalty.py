"""`loyalty.accounts.v1`: points, tiers and coupons. Points are integers; every movement names its posting."""

from typing import ClassVar, Literal

from common.contracts.envelope import Data
from common.ids import Id

Tier = Literal["ordinary", "silver", "gold", "diamond"]


class PointsMoved(Data, frozen=True):
    """A movement between the programme and the customer; `points` > 0, `balance` is the customer's after it."""

    posting_id: Id
    points: int
    balance: int
    order_id: Id | None = None


class PointsEarned(PointsMoved, frozen=True):
    """Programme to customer."""

    TYPE: ClassVar[str] = "points.earned"


class PointsHeld(PointsMoved, frozen=True):
    """Customer to a pending account, until they are spent or released."""

    TYPE: ClassVar[str] = "points.held"


class PointsSpent(PointsMoved, frozen=True):
    """Customer to programme, for goods or a deduction."""

    TYPE: ClassVar[str] = "points.spent"


class PointsExpired(PointsMoved, frozen=True):
    """Customer to programme, because their validity ended."""

    TYPE: ClassVar[str] = "points.expired"


class PointsReversed(PointsMoved, frozen=True):
    """Customer to programme, because the order they came from was refunded."""

    TYPE: ClassVar[str] = "points.reversed"


class PointsTransferredIn(PointsMoved, frozen=True):
    """From another customer, because the two are one; `other` is who had them, or who gives them back."""

    TYPE: ClassVar[str] = "points.transferred_in"
    other: Id | None = None


class PointsTransferredOut(PointsMoved, frozen=True):
    """To another customer, because the two are one, or because that was a mistake."""

    TYPE: ClassVar[str] = "points.transferred_out"
    other: Id | None = None


class TierChanged(Data, frozen=True):
    """The customer's tier changed; `spend_minor` is the spend of the last 365 days that decided it."""

    TYPE: ClassVar[str] = "tier.changed"
    tier: Tier
    previous: Tier
    spend_minor: int
    reason: str


class CouponIssued(Data, frozen=True):
    """The customer holds a coupon."""

    TYPE: ClassVar[str] = "coupon.issued"
    coupon_id: Id
    kind: Id


class CouponRedeemed(Data, frozen=True):
    """The coupon was used on an order."""

    TYPE: ClassVar[str] = "coupon.redeemed"
    coupon_id: Id
    order_id: Id


class CouponExpired(Data, frozen=True):
    """The coupon's validity ended unused."""

    TYPE: ClassVar[str] = "coupon.expired"
    coupon_id: Id


EVENTS: tuple[type[Data], ...] = (
    PointsEarned,
    PointsHeld,
    PointsSpent,
    PointsExpired,
    PointsReversed,
    PointsTransferredIn,
    PointsTransferredOut,
    TierChanged,
    CouponIssued,
    CouponRedeemed,
    CouponExpired,
)
