"""That the benchmark of ingest runs and tells what it says."""

from regulars.bench import ingest
from regulars.bench.stage import stage


async def test_a_quick_run() -> None:
    async with stage(quick=True) as ours:
        made = {figure.name: figure for figure in await ingest.measure(ours)}
    for case in ("ingest.single", "ingest.batches"):
        assert made[case].unit == "events/s"
        assert made[case].value > 0
        assert made[case].ratio is not None
        assert 0 < made[f"{case}.p50"].value <= made[f"{case}.p99"].value
