"""A real Prometheus with our rules, which scrapes what a test runs, and answers what boards and rules ask."""

import asyncio
import math
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import yaml

from regulars.ports import free_port
from tests.deploy.queries import PROMETHEUS, RULES
from tests.deploy.tools import from_debian

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.1
EVERY = "1s"  # a test has seconds where an installation has days
# What Grafana puts in the place of its own words.
WORDS = {"$__rate_interval": "10s", "$__range": "1h", "$job": ".+"}


class Prometheus:
    """Answers questions."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def values(self, expr: str) -> list[float]:
        """The numbers of all series that the question has now; one that is not a number is none."""
        for word, meant in WORDS.items():
            expr = expr.replace(word, meant)
        answer = await self._client.post("/api/v1/query", data={"query": expr})
        told = answer.json()
        assert told["status"] == "success", f"{expr}: {told['error']}"
        numbers = (float(series["value"][1]) for series in told["data"]["result"])
        return [number for number in numbers if math.isfinite(number)]

    async def faults_of_rules(self) -> list[str]:
        """Rules that could not be evaluated, or were not yet."""
        groups = (await self._client.get("/api/v1/rules")).json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return [
            f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}" for rule in rules if rule["health"] != "ok"
        ]


def _configuration(targets: Mapping[str, str]) -> dict[str, Any]:
    """Ours, looking more often, at targets of the test's; each job by its own name."""
    ours: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    ours["global"] |= {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    ours["rule_files"] = [str(RULES)]
    for job in ours["scrape_configs"]:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    return ours


@asynccontextmanager
async def scraping(targets: Mapping[str, str], folder: Path) -> AsyncIterator[Prometheus]:
    """Runs one that scrapes `{job: host:port}` every second."""
    program = from_debian("prometheus")
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(_configuration(targets)))
    address = f"127.0.0.1:{free_port()}"
    flags = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    log = folder / "prometheus.log"
    process = _launch([program, *flags], log)
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as client:
            await _ready(client, process, log)
            yield Prometheus(client)
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
        finally:
            process.kill()


def _launch(words: list[str | Path], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen(words, cwd=log.parent, stdout=said, stderr=said)


async def _ready(client: httpx.AsyncClient, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + START_TIMEOUT_S
    while True:
        try:
            if (await client.get("/-/ready")).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert monotonic() < deadline, f"not ready after {START_TIMEOUT_S} s:\n{log.read_text()}"
        await asyncio.sleep(LOOK_EVERY_S)  # waits: for another process; nothing tells us when it listens
