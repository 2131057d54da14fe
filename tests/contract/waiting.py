"""The one place where these tests wait: for a condition, as long as it takes and no longer than a bound."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

WITHIN_S = 30.0  # a busy machine may be slow; whatever takes this long does not happen
LOOK_EVERY_S = 0.01


async def until(holds: Callable[[], Awaitable[object]], what: str, within_s: float = WITHIN_S) -> None:
    """Returns as soon as the condition holds; fails by name when it does not within the bound."""
    deadline = monotonic() + within_s
    while not await holds():
        if monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        await asyncio.sleep(LOOK_EVERY_S)  # waits: for the condition, which other tasks and servers bring about
