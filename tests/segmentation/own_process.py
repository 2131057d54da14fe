"""A process of segmentation to be killed: `python -m tests.segmentation.own_process DSN TIME`."""

import asyncio
import sys
from datetime import datetime

from tests.segmentation.own_stage import join_stage


async def main(dsn: str, at: datetime) -> None:
    """Until killed."""
    async with join_stage(dsn, backfill_per_s=200) as stage:
        stage.clock.at = at
        await stage.one.rulebooks.load(at)
        async with asyncio.TaskGroup() as tasks:
            for loop in (stage.one.road.run, stage.one.rulebooks.run, stage.one.backfill.run):
                tasks.create_task(loop())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], datetime.fromisoformat(sys.argv[2])))
