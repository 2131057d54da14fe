"""Loops of a process: none of them ends in silence."""

import asyncio

import pytest

from common.house import _kept


async def test_a_loop_cancelled_from_within_is_an_error() -> None:
    async def loop() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ExceptionGroup) as told:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_kept(loop))
    (error,) = told.value.exceptions
    assert str(error) == "a loop was cancelled from within"


async def test_a_loop_that_is_stopped_is_not() -> None:
    begun = asyncio.Event()

    async def loop() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_kept(loop))
        await begun.wait()
        task.cancel()
    assert task.cancelled()
