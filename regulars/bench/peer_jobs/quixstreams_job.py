"""The counting job on quixstreams; run as a script, in an environment that has it.

`quixstreams_job.py BROKER TOPIC GUARANTEE MESSAGES FOLDER GROUP` prints the seconds from the first message on.
"""

import importlib
import sys
from time import perf_counter
from typing import Any

quixstreams = importlib.import_module("quixstreams")  # not a dependency of ours

broker, topic_name, guarantee, messages, folder, group = sys.argv[1:]
began: list[float] = []


def count(value: dict[str, Any], state: Any) -> None:
    """Into the state of the message's key."""
    if not began:
        began.append(perf_counter())
    before, total = state.get("totals", (0, 0))
    state.set("totals", (before + 1, total + value["data"]["amount"]["amount_minor"]))


app = quixstreams.Application(
    broker_address=broker,
    consumer_group=group,
    auto_offset_reset="earliest",
    processing_guarantee=guarantee,
    state_dir=folder,
    loglevel="ERROR",
)
frame = app.dataframe(app.topic(topic_name, key_deserializer="str", value_deserializer="json"))
frame = frame.update(count, stateful=True)
app.run(count=int(messages), collect=False)  # ends with a commit: changelog acknowledged, state and offsets written
sys.stdout.write(f"{perf_counter() - began[0]}\n")
