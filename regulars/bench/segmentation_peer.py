"""The job of `peers`, done by segmentation: what it counts and sums is a small part of what it keeps of a customer."""

from dataclasses import replace

import asyncpg

from common.bus.kafka import make_topics
from common.shops import load_shops
from regulars.bench import road_stage
from regulars.bench.counting import EVENTS, Totals, check
from regulars.bench.stage import Database
from segmentation import app, presets

# Purchases are an array: how many, from when, until when, what for.
TOTALS = """
SELECT customer_id, (body->'state'->'purchases'->>0)::bigint, (body->'state'->'purchases'->>3)::bigint
FROM segmentation.states
"""


async def measure_whole(database: Database, kafka: str, wanted: Totals) -> float:
    """In this process, from empty tables and the topic's beginning; gives the seconds."""
    service = replace(app.service(presets.load(load_shops())), reads=(EVENTS,))
    settings = database.settings.model_copy(update={"kafka": kafka})
    await make_topics(kafka, [service.work.name])
    count = sum(count for count, _ in wanted.values())
    admin = await asyncpg.connect(database.dsn)
    try:
        await road_stage.clear(admin, service.name)
        await road_stage.rewind(kafka, service.name, EVENTS.name)
        samples = await road_stage.run_service(settings, service, count)
        check(service.name, {customer: (n, total) for customer, n, total in await admin.fetch(TOTALS)}, wanted)
    finally:
        await admin.close()
    return count / road_stage.rate(samples)
