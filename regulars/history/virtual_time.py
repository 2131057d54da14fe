"""A history through the same decisions as the running system, in virtual time, without a database: who would have been
told what, and when. Customers are independent, so it goes customer by customer, and a long history on all cores.

Segmentation hears what loyalty tells, and of no message: as in an import, nobody was sent any, nor could open one.
"""

import gc
import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any
from zoneinfo import ZoneInfo

from common.contracts.envelope import Data, Event
from common.contracts.notifier import DeliveryAttempted, MessageSent
from common.decision import AN_INSTANT, Aggregate
from common.service import Service
from common.shops import Shop
from journeys import app as journeys
from journeys import presets as journeys_presets
from loyalty import app as loyalty
from loyalty import presets as loyalty_presets
from notifier import app as notifier
from regulars.history.answer import Answer, Customer, Ended, by_month, customer_of
from regulars.history.ending import days_of
from segmentation import app as segmentation
from segmentation import presets as segmentation_presets

CUSTOMERS_AT_ONCE = 1_000  # lived through by one process before it tells
EVENTS_ON_ONE_CORE = 50_000  # up to so many, other processes are not worth their start

Key = tuple[str, str]  # shop_id, customer_id
Histories = Mapping[Key, list[Event[Data]]]
Sent = tuple[str, str]  # journey step, month
Lived = tuple[
    list[Customer], int, list[Sent], list[Ended]
]  # customers, how many have an account, messages; how all end


class Simulation:
    """The services' decisions for a set of shops."""

    def __init__(self, shops: Mapping[str, Shop], *, keeps_ended: bool = False) -> None:
        self.rulebooks, self._keeps_ended = segmentation_presets.load(shops), keeps_ended
        self._segmentation = segmentation.service(self.rulebooks)
        self._loyalty = loyalty.service(loyalty_presets.load(shops))
        definitions = journeys_presets.load(shops)
        self._journeys = journeys.service(definitions)
        self._steps = {d.journey: len(d.steps) for of_shop in definitions.values() for d in of_shop}
        self._notifier = notifier.service()
        self._zones = {shop_id: ZoneInfo(shop.zone) for shop_id, shop in shops.items()}

    def run(self, events: Iterable[Event[Data]], at: datetime) -> Answer:
        """Decides the events (oldest first, none after `at`) and every timer due at or before `at`."""
        histories: defaultdict[Key, list[Event[Data]]] = defaultdict(list)
        for event in events:
            histories[event.shop_id, event.customer_id].append(event)
        keys = sorted(histories)
        parts = [keys[start : start + CUSTOMERS_AT_ONCE] for start in range(0, len(keys), CUSTOMERS_AT_ONCE)]
        customers: list[Customer] = []
        accounts = 0
        sent: list[Sent] = []
        ended: list[Ended] = []
        for some, opened, told, left in self._on_all_cores(histories, parts, at):
            ended += left
            customers += some
            accounts += opened
            sent += told
        return Answer(at, customers, accounts, by_month(sent), ended)

    def _on_all_cores(self, histories: Histories, parts: Sequence[Sequence[Key]], at: datetime) -> Iterator[Lived]:
        """The parts in their order. What is short is not worth other processes."""
        if sum(map(len, histories.values())) < EVENTS_ON_ONE_CORE:
            yield from (self.live(histories, part, at) for part in parts)
            return
        gc.freeze()  # a collection would look at the history, and so copy it into every process
        # Forked, so that each has the history without being sent it; ended with us, whatever ends us.
        with multiprocessing.get_context("fork").Pool(os.cpu_count(), _begin, (self, histories, at)) as pool:
            yield from pool.imap(_live_part, parts)

    def live(self, histories: Histories, keys: Sequence[Key], at: datetime) -> Lived:
        """The customers of these keys, one after the other."""
        customers: list[Customer] = []
        accounts = 0
        sent: list[Sent] = []
        ended: list[Ended] = []
        for key in keys:
            account = _live(self._loyalty, key, histories[key], at)
            heard = merge(histories[key], account.facts, key=_received_at)
            profile = _live(self._segmentation, key, heard, at)
            requests = _live(self._journeys, key, histories[key], at).facts
            sent += [(step, self._month(key[0], time)) for step, time in self._told(key, requests, at)]
            assert profile.stored is not None
            of_account = account.stored.state if account.stored is not None else None
            customers.append(customer_of(key[1], profile.stored.state, of_account))
            accounts += of_account is not None and of_account.opened_at is not None
            if self._keeps_ended:
                days = days_of(histories[key], self._zones[key[0]])
                ended.append(Ended(key[1], profile.stored.state, days))
        return customers, accounts, sent, ended

    def _told(self, key: Key, facts: Sequence[Event[Data]], at: datetime) -> list[tuple[str, datetime]]:
        """The messages notifier would have sent, each attempt taken as a success: (step, time)."""
        aggregate = Aggregate(self._notifier.name, self._notifier.decide, *key, None)
        for request in (fact for fact in facts if self._notifier.is_heeded(fact.type)):
            aggregate.take(request)
            waiting = aggregate.stored.state.pending if aggregate.stored is not None else ()
            for message in waiting:
                aggregate.take(_sent(request, message.message_key))
        return [
            (self._step(fact.data), fact.occurred_at)
            for fact in aggregate.facts
            if isinstance(fact.data, MessageSent) and fact.occurred_at <= at
        ]

    def _step(self, sent: MessageSent) -> str:
        """How the answer names it: journey/step, or the journey alone where it has but one step."""
        return f"{sent.journey}/{sent.step}" if self._steps[sent.journey] > 1 else sent.journey

    def _month(self, shop_id: str, time: datetime) -> str:
        local = time.astimezone(self._zones[shop_id])
        return f"{local.year}-{local.month:02}"


def _live(service: Service[Any], key: Key, history: Iterable[Event[Data]], at: datetime) -> Aggregate[Any]:
    """One customer's life in one service."""
    aggregate = Aggregate(service.name, service.decide, *key, None, service.asides)
    for event in history:
        if service.is_heeded(event.type):
            aggregate.take(event)
    aggregate.wake(at + AN_INSTANT)  # timers due *at* the end count
    if aggregate.poison:
        raise AssertionError(f"{service.name} failed on {key}: {aggregate.poison[0].reason.reason}")
    return aggregate


def _received_at(event: Event[Data]) -> datetime:
    return event.received_at


def _sent(request: Event[Data], message_key: str) -> Event[Data]:
    """What notifier's sender would report at once."""
    data = DeliveryAttempted(message_key=message_key, outcome="sent")
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


_ours: list[tuple[Simulation, Histories, datetime]] = []  # in a process of the pool: what it was forked for


def _begin(simulation: Simulation, histories: Histories, at: datetime) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for who started us
    _ours.append((simulation, histories, at))


def _live_part(keys: Sequence[Key]) -> Lived:
    ((simulation, histories, at),) = _ours
    return simulation.live(histories, keys, at)
