"""A history through the same decisions as the running system, in virtual time, without a
database: who would have been told what, and when. Customers are independent, so it goes customer by customer."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from common.contracts.envelope import Data, Event
from common.contracts.journeys import MessageRequested
from common.contracts.notifier import DeliveryAttempted, MessageSent
from common.decision import AN_INSTANT, Aggregate
from common.service import Service
from common.shops import Shop
from journeys import app as journeys
from journeys import presets as journeys_presets
from loyalty import app as loyalty
from loyalty import presets as loyalty_presets
from notifier import app as notifier
from regulars.answer import Answer, Customer, by_month, customer_of
from segmentation import app as segmentation
from segmentation import presets as segmentation_presets


class Simulation:
    """The services' decisions for a set of shops."""

    def __init__(self, shops: Mapping[str, Shop]) -> None:
        self._segmentation = segmentation.service(segmentation_presets.load(shops))
        self._loyalty = loyalty.service(loyalty_presets.load(shops))
        definitions = journeys_presets.load(shops)
        self._journeys = journeys.service(definitions)
        self._steps = {d.journey: len(d.steps) for of_shop in definitions.values() for d in of_shop}
        self._notifier = notifier.service()
        self._zones = {shop_id: ZoneInfo(shop.zone) for shop_id, shop in shops.items()}

    def run(self, events: Iterable[Event[Data]], at: datetime) -> Answer:
        """Decides the events (oldest first, none after `at`) and every timer due at or before `at`."""
        histories: defaultdict[tuple[str, str], list[Event[Data]]] = defaultdict(list)
        for event in events:
            histories[event.shop_id, event.customer_id].append(event)
        customers: list[Customer] = []
        accounts = 0
        sent: list[tuple[str, str]] = []
        for key, history in sorted(histories.items()):
            profile = _live(self._segmentation, key, history, at)
            account = _live(self._loyalty, key, history, at)
            requests = _live(self._journeys, key, history, at).facts
            sent += [(step, self._month(key[0], time)) for step, time in self._told(key, requests, at)]
            assert profile.stored is not None
            of_account = account.stored.state if account.stored is not None else None
            customers.append(customer_of(key[1], profile.stored.state, of_account))
            accounts += of_account is not None and of_account.opened_at is not None
        return Answer(at, customers, accounts, by_month(sent))

    def _told(self, key: tuple[str, str], requests: list[Event[Data]], at: datetime) -> list[tuple[str, datetime]]:
        """The messages notifier would have sent, each attempt taken as a success: (step, time)."""
        aggregate = Aggregate(self._notifier.name, self._notifier.decide, *key, None)
        for request in requests:
            aggregate.take(request)
            if isinstance(request.data, MessageRequested):
                aggregate.take(_sent(request, request.data))
        return [
            (self._step(fact.data), fact.occurred_at)
            for fact in aggregate.facts
            if isinstance(fact.data, MessageSent) and fact.occurred_at <= at
        ]

    def _step(self, sent: MessageSent) -> str:
        """How the answer names it: journey/step, or the journey alone where it has but one step."""
        return f"{sent.journey}/{sent.step}" if self._steps[sent.journey] > 1 else sent.journey

    def _month(self, shop_id: str, time: datetime) -> str:
        return time.astimezone(self._zones[shop_id]).strftime("%Y-%m")


def _live(service: Service[Any], key: tuple[str, str], history: list[Event[Data]], at: datetime) -> Aggregate[Any]:
    """One customer's life in one service."""
    aggregate = Aggregate(service.name, service.decide, *key, None)
    for event in history:
        if service.is_heeded(event.data):
            aggregate.take(event)
    aggregate.wake(at + AN_INSTANT)  # timers due *at* the end count
    if aggregate.poison:
        raise AssertionError(f"{service.name} failed on {key}: {aggregate.poison[0].reason.reason}")
    return aggregate


def _sent(request: Event[Data], asked: MessageRequested) -> Event[Data]:
    data = DeliveryAttempted(message_key=asked.message_key, outcome="sent")
    return Event(
        specversion="1.0",
        id=f"{request.id}:attempt",
        source="simulation",
        type=data.TYPE,
        shop_id=request.shop_id,
        customer_id=request.customer_id,
        occurred_at=request.occurred_at,
        received_at=request.received_at,
        data=data,
    )
