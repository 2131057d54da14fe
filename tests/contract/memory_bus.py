"""The bus in memory: shows what the port means, and tests roads without a server."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from common.bus.bell import Bell, wait
from common.bus.port import LoadMarks, Mark, Message, Slot
from common.ids import PARTITIONS


class MemoryBus:
    """Topics as lists. `publish` stands in for a committed outbox row."""

    def __init__(self) -> None:
        self._log: defaultdict[Slot, list[Message]] = defaultdict(list)
        self._groups: defaultdict[str, list[MemorySubscription]] = defaultdict(list)
        self._bell = Bell()

    def publish(self, topic: str, part: int, key: str, body: bytes) -> None:
        """Appends one message to a partition."""
        log = self._log[topic, part]
        log.append(Message(topic, part, Mark(len(log) + 1, 1), key, body))
        self._bell.ring(topic)

    def after(self, slot: Slot, mark: Mark) -> list[Message]:
        """What stands in the slot above the mark."""
        return self._log[slot][mark.xid :]

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: tuple[str, ...], load_marks: LoadMarks
    ) -> AsyncIterator["MemorySubscription"]:
        """Joins the group; partitions are dealt out anew to all its members."""
        members = self._groups[group]
        subscription = MemorySubscription(self, self._bell, topics, load_marks)
        members.append(subscription)
        try:
            await self._deal(members)
            yield subscription
        finally:
            members.remove(subscription)
            await self._deal(members)

    @staticmethod
    async def _deal(members: list["MemorySubscription"]) -> None:
        for rank, member in enumerate(members):
            await member.hold({part for part in range(PARTITIONS) if part % len(members) == rank})


class MemorySubscription:
    """See port.Subscription."""

    def __init__(self, bus: MemoryBus, bell: Bell, topics: tuple[str, ...], load_marks: LoadMarks) -> None:
        self.marks: dict[Slot, Mark] = {}
        self._bus, self._bell, self._topics, self._load_marks = bus, bell, topics, load_marks

    async def hold(self, parts: set[int]) -> None:
        """Holds these partitions from now on."""
        slots = {(topic, part) for topic in self._topics for part in parts}
        gained = slots - self.marks.keys()
        self.marks = {slot: mark for slot, mark in self.marks.items() if slot in slots}
        self.marks |= await self._load_marks(gained)

    async def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """See port."""
        with self._bell.listen(self._topics) as bell:
            if not (messages := self._read(max_messages)):
                await wait(bell, timeout_s)
                messages = self._read(max_messages)
        return messages

    def _read(self, max_messages: int) -> list[Message]:
        found = [m for slot, mark in self.marks.items() for m in self._bus.after(slot, mark)]
        return found[:max_messages]

    def advance(self, marks: Mapping[Slot, Mark]) -> None:
        """See port."""
        self.marks |= {slot: mark for slot, mark in marks.items() if slot in self.marks}

    async def reset(self) -> None:
        """See port."""
        self.marks = await self._load_marks(self.marks.keys())
