"""That the benchmark of webhooks runs and tells what it says."""

from regulars.bench import hooks
from regulars.bench.stage import stage


async def test_a_quick_run() -> None:
    async with stage(quick=True) as ours:
        made = {figure.name: figure for figure in await hooks.measure(ours)}
    assert 0 < made["hooks.p50"].value <= made["hooks.p99"].value
    assert made["hooks.p99"].ceiling == hooks.WANTED_MS
