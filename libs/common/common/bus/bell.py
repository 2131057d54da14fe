"""A hint inside one process: something was committed to a topic, look now instead of at the next poll."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Bell:
    """Readers wait on it, writers ring it."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def ring(self, topic: str) -> None:
        """Wakes whoever waits for the topic."""
        for event in self._waiting[topic]:
            event.set()

    @contextmanager
    def listen(self, topics: tuple[str, ...]) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of the topics is rung."""
        event = asyncio.Event()
        for topic in topics:
            self._waiting[topic].add(event)
        try:
            yield event
        finally:
            for topic in topics:
                self._waiting[topic].discard(event)


async def wait(event: asyncio.Event, timeout_s: float) -> bool:
    """Until the bell rings, or the time is over; whether it rang."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):  # not wait_for: it drops a cancellation that comes with a ring
            await event.wait()
    rang = event.is_set()
    event.clear()
    return rang
