"""The counting job on faust-streaming; run as a script, in an environment that has it.

`faust_job.py BROKER TOPIC PARTITIONS MESSAGES FOLDER GROUP` prints the seconds from the first message on.
"""

import asyncio
import importlib
import sys
from time import perf_counter
from typing import Any

LOOK_EVERY_S = 0.005
faust = importlib.import_module("faust")  # not a dependency of ours

broker, topic_name, partitions, messages, folder, group = sys.argv[1:]
app = faust.App(
    group,
    broker=f"kafka://{broker}",
    store="rocksdb://",  # by rocksdict
    datadir=folder,
    topic_partitions=int(partitions),
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
totals = app.Table("totals", default=lambda: (0, 0), key_type=str)
topic = app.topic(topic_name, key_type=str, key_serializer="raw", value_serializer="json")
began: list[float] = []
seen = 0


@app.agent(topic)  # type: ignore[untyped-decorator]
async def count(stream: Any) -> None:
    """Into the table, at the message's key."""
    global seen  # noqa: PLW0603 - one agent, one process
    async for key, value in stream.items():
        if not began:
            began.append(perf_counter())
        before, total = totals[key]
        totals[key] = (before + 1, total + value["data"]["amount"]["amount_minor"])
        seen += 1


async def main() -> None:
    """Until everything is counted, acknowledged by the changelog, and the offsets committed."""
    await app.start()
    while seen < int(messages):  # noqa: ASYNC110 - the agent tells nobody
        await asyncio.sleep(LOOK_EVERY_S)
    await app.producer.flush()
    await app.consumer.commit()
    sys.stdout.write(f"{perf_counter() - began[0]}\n")
    sys.stdout.flush()
    await app.stop()


asyncio.run(main())
