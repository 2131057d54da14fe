"""`journeys.requests.v1`: whom to tell what, whom to reward, who is on which journey."""

from typing import ClassVar, Literal

from common.contracts.envelope import Data
from common.contracts.ingest import Channel, Purpose
from common.ids import Id


class MessageRequested(Data, frozen=True):
    """Tell the customer something once: `message_key` is the same however often the request is repeated."""

    TYPE: ClassVar[str] = "message.requested"
    message_key: Id
    journey: Id
    step: Id
    channel: Channel
    purpose: Purpose
    template: Id
    params: dict[str, str | int]


class RewardRequested(Data, frozen=True):
    """Give the customer points or a coupon once per `reward_key`."""

    TYPE: ClassVar[str] = "reward.requested"
    reward_key: Id
    kind: Literal["points", "coupon"]
    points: int = 0
    coupon: Id | None = None


class JourneyEntered(Data, frozen=True):
    """The customer started on a journey; `enrollment` tells several at once apart (an order id, say)."""

    TYPE: ClassVar[str] = "journey.entered"
    journey: Id
    enrollment: Id


class JourneyLeft(Data, frozen=True):
    """The customer is on the journey no more: it is finished, or `reason` names what ended it."""

    TYPE: ClassVar[str] = "journey.left"
    journey: Id
    enrollment: Id
    reason: str


EVENTS: tuple[type[Data], ...] = (MessageRequested, RewardRequested, JourneyEntered, JourneyLeft)
