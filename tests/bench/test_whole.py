"""That the benchmark of the whole system runs: in one process, and its ceiling."""

from regulars.bench import as_sent, whole, whole_bare
from regulars.bench.stage import stage

EVENTS = 1_500


async def test_a_quick_run_in_one_process() -> None:
    bodies = as_sent.bodies(whole.SUSTAINED_SEED, EVENTS)
    async with stage(quick=True) as ours:
        whole.with_journey(ours.folder)
        async with ours.database(migrated=False) as database:
            bare = await whole_bare.run(database.dsn, bodies)
        figures = await whole.one_form(ours, whole.UP_ON_POSTGRES, bodies, bare)
    made = {figure.name: figure for figure in figures}
    assert made["whole.up.postgres"].ceiling == bare
    assert made["whole.up.postgres"].value > 0
    assert 0 < made["whole.up.postgres.p50"].value <= made["whole.up.postgres.p99"].value
