"""`regulars bench`: what this machine does, each figure beside what a bare script makes of the same work."""

# In this order: a module of this package each, with `async def measure(stage: Stage) -> list[Figure]`.
NAMES = (
    "ingest",
    "hooks",
    "roads",
    "postings",
    "relay",
    "timers",
    "on_time",
    "simulation",
    "growth",
    "untouched",
    "whole",
    "peers",
)
