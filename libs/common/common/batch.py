"""One batch of the road, without its I/O: bytes in, decided customers and dead letters out."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from common.bus.dead_letters import DeadLetter
from common.bus.port import Mark, Message, Slot
from common.contracts.envelope import Data, Decoder, Event, Rejection, encode
from common.contracts.ingest import HistoryEnded, Tick
from common.contracts.work import StateMoved, TimerDue
from common.db.states import Key, StateRow
from common.decision import Aggregate, Stored
from common.ids import partition_of
from common.service import Saved, Service

S = TypeVar("S")


class Codec(Generic[S]):
    """A service's bytes: the events it may read, the states it stores."""

    def __init__(self, service: Service[S]) -> None:
        types = dict.fromkeys(data for topic in (*service.reads, service.work) for data in topic.events)
        moved = StateMoved[service.state]  # type: ignore[name-defined]  # known at run time
        self.event = Decoder((*types, HistoryEnded, moved))  # history.ended: out of a replay, on the work topic
        self.stored = msgspec.json.Decoder(Stored[service.state])  # type: ignore[name-defined]  # known at run time
        self.encoder = msgspec.json.Encoder()


class Batch(Generic[S]):
    """The messages of one poll, sorted by customer, and what deciding them comes to."""

    def __init__(self, service: Service[S], codec: Codec[S], messages: Sequence[Message]) -> None:
        self.service, self._codec = service, codec
        self.reached: dict[Slot, Mark] = {}
        self.watermarks: dict[int, datetime] = {}
        self.events: defaultdict[Key, list[tuple[str, Event[Data]]]] = defaultdict(list)  # with their topics
        self.letters: list[DeadLetter] = []
        self.saved: list[Saved[S]] = []
        self.sent: list[Event[Data]] = []  # to customers of this service, in the order they were sent
        self.decided = 0  # events and timers whose decision did not fail
        self.read = 0  # events, those that are not heeded among them
        self.newest: datetime | None = None  # when the last of them, or a tick, was received; imports aside
        for message in messages:
            self._sort_in(message)

    def _sort_in(self, message: Message) -> None:
        self.reached[message.slot] = message.mark
        event = self._codec.event.skim(message.body)
        if isinstance(event, Event):
            self.read += event.type != Tick.TYPE
            at_edge = message.topic != self.service.work.name  # what a service tells itself says nothing of its lag
            if at_edge and not event.historic and (self.newest is None or event.received_at > self.newest):
                self.newest = event.received_at
            if not self.service.is_heeded(event.type):
                return
            event = self._codec.event.open(event)
        if isinstance(event, Rejection):
            self.letters.append(DeadLetter(message.topic, message.key, message.body, event))
        elif isinstance(event.data, Tick):
            self.watermarks[message.part] = event.data.watermark
        else:
            self.events[event.shop_id, event.customer_id].append((message.topic, event))

    def decide(self, key: Key, body: str | None, wake_before: datetime | None = None) -> None:
        """Decides what the batch holds for one customer, on its stored body; then its timers due before a watermark."""
        stored = self._codec.stored.decode(body) if body is not None else None
        aggregate = Aggregate(self.service.name, self.service.decide, *key, stored, self.service.asides)
        for topic, event in self.events.get(key, ()):
            aggregate.take(event)
            self._bury(topic, key, aggregate)
        if wake_before is not None:
            aggregate.wake(wake_before)
            self._bury(self.service.work.name, key, aggregate)
        self.decided += aggregate.decided
        self.sent += aggregate.sent
        if aggregate.stored is not None and aggregate.stored is not stored:
            self.saved.append(Saved(*key, aggregate.stored, tuple(aggregate.facts)))

    def _bury(self, topic: str, key: Key, aggregate: Aggregate[S]) -> None:
        for poison in aggregate.poison:
            came_from = self.service.work.name if isinstance(poison.event.data, TimerDue) else topic
            self.letters.append(DeadLetter(came_from, "/".join(key), encode(poison.event), poison.reason))
        aggregate.poison.clear()

    def state_rows(self) -> list[StateRow]:
        """What to store."""
        return [
            (x.shop_id, x.customer_id, partition_of(x.shop_id, x.customer_id), self._encode(x.stored), x.stored.wake_at)
            for x in self.saved
        ]

    def _encode(self, stored: Stored[S]) -> str:
        return self._codec.encoder.encode(stored).decode()
