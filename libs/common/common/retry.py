"""When to try again: a policy is a value, and whoever uses it does the waiting."""

import asyncio
from dataclasses import dataclass
from zlib import crc32

FOREVER = 2**31  # tries: for what must come back by itself, such as a consumer whose broker is away


@dataclass(frozen=True, slots=True)
class Retry:
    """Pauses of `first_ms`, then `factor` times the one before, never above `max_ms`; `max_tries` in all.

    `jitter` (0 to 1) is the share that may be taken off a pause. It depends on key and attempt alone, so that many
    who failed together come back apart, and a test knows when.
    """

    first_ms: int
    factor: float
    max_ms: int
    max_tries: int
    jitter: float = 0.0

    def next(self, attempt: int, key: str = "") -> float | None:
        """Seconds to wait after the failed `attempt` (the first is 1), or None: give up."""
        if attempt >= self.max_tries:
            return None
        try:
            pause_ms = min(self.first_ms * self.factor ** (attempt - 1), self.max_ms)
        except OverflowError:
            pause_ms = self.max_ms
        return pause_ms * (1 - self.jitter * crc32(f"{key}/{attempt}".encode()) / 2**32) / 1000


RECONNECT = Retry(first_ms=100, factor=2.0, max_ms=5_000, max_tries=FOREVER)


# What a loop that tries for ever has to catch. Libraries cancel tasks of their own; whoever asks for their result gets
# CancelledError as if it had been stopped itself, which a task group would take for an orderly end.
FAILED = (Exception, asyncio.CancelledError)


def is_stopped() -> bool:
    """Whether the running task was asked to stop, however that reached it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def give_up_if_stopped(error: BaseException) -> None:
    """For a loop that tries for ever: raises CancelledError when its task was asked to stop and the error came of
    ending (a connection that is gone cannot be given back in order). Else the loop would have swallowed the stop."""
    if is_stopped():
        raise asyncio.CancelledError from error
