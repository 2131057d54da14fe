"""A real Prometheus beside the five services under load: every panel and every alert has something to show."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from tests.deploy.containers import data_tier, five_containers
from tests.deploy.prometheus import Prometheus, scraping
from tests.deploy.queries import Question, figures, on_boards
from tests.deploy.tools import from_debian
from tests.deploy.traffic import busy, trouble
from tests.kafka_fixture import StartKafka

FACTOR = 600  # a minute of the test is ten hours of the shop's: reminders go off
ANSWERED_WITHIN_S = 60.0
LOOK_EVERY_S = 0.5
# On a board nothing is 0; here nothing is nothing: a panel must show that it can show something.
EMPTY_IS_ZERO = " or vector(0)"


async def test_every_panel_and_every_alert_has_data(start_kafka: StartKafka, tmp_path: Path) -> None:
    from_debian("prometheus")
    cluster = await start_kafka()
    now = datetime.now(UTC).isoformat()
    settings = {"REGULARS_CLOCK": f"accelerated:{FACTOR}@{now}@{now}", "REGULARS_WATERMARK_PATIENCE_S": "1"}
    async with data_tier(cluster.bootstrap, settings) as stand_ins:
        await stand_ins.run("migrate")
        scopes = "ingest,read,operate"
        key = (await stand_ins.run("regulars", "keys", "create", "--scope", scopes, "--shop", "demo")).strip()
        async with five_containers(stand_ins, tmp_path) as containers:
            targets = {name: f"127.0.0.1:{container.port}" for name, container in containers.items()}
            async with scraping(targets, tmp_path) as prometheus, asyncio.TaskGroup() as tasks:
                load = tasks.create_task(busy(containers, key))
                await trouble(containers, stand_ins)
                unanswered = await ask([*on_boards(), *figures()], prometheus)
                assert not unanswered, "no data for:\n" + "\n".join(f"{q.where}: {q.expr}" for q in unanswered)
                assert not await prometheus.faults_of_rules()
                for figure in figures():
                    name = figure.where.removeprefix("rules.yml: ")
                    assert await prometheus.values(name), f"{name} is not recorded"
                load.cancel()


async def ask(questions: list[Question], prometheus: Prometheus) -> list[Question]:
    """Asks until each has been answered with data once; what was not, when the time is over."""
    deadline = monotonic() + ANSWERED_WITHIN_S
    while questions and monotonic() < deadline:
        questions = [q for q in questions if not await prometheus.values(q.expr.replace(EMPTY_IS_ZERO, ""))]
        await asyncio.sleep(LOOK_EVERY_S)  # waits: for Prometheus to have looked often enough
    return questions
