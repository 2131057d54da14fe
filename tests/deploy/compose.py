"""Reads docker-compose.yml as Docker Compose itself does, with a filled-in .env."""

import base64
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.deploy.dockerfile import stages
from tests.deploy.tools import ROOT, from_packages, run

FIVE = ("ingest", "segmentation", "journeys", "loyalty", "notifier")
COMMAND = ("migrate", "regulars")  # they end by themselves
# Every secret of .env.example, as it tells one to make it.
SECRETS = {
    "POSTGRES_PASSWORD": "0" * 64,
    "DATABASE_ADMIN_PASSWORD": "1" * 64,
    "REGULARS_DATABASE_PASSWORD": "2" * 64,
    "REGULARS_VAULT_KEY": base64.b64encode(b"v" * 32).decode(),
    "REGULARS_INTERNAL_KEY": "3" * 64,
    "GRAFANA_PASSWORD": "4" * 32,
}


def arguments(env_file: Path) -> tuple[str | Path, ...]:
    """How Compose is asked what it makes of the file, with every profile."""
    return "--env-file", env_file, "--profile", "*", "config", "--format", "json"


@lru_cache(maxsize=1)
def services() -> dict[str, dict[str, Any]]:
    """Every service as Compose would start it: anchors and variables resolved."""
    told = run(from_packages("docker-compose"), *arguments(Path("/dev/null")), environment=SECRETS)
    found: dict[str, dict[str, Any]] = json.loads(told)["services"]
    return found


def environment(name: str) -> dict[str, str]:
    """All that a container of ours sees: what its image sets, and what Compose sets."""
    given = services()[name].get("environment") or {}
    return stages()[-1].environment | {key: str(value) for key, value in given.items()}


def command(name: str) -> list[str]:
    """What a container of ours runs."""
    service = services()[name]
    return [*(service.get("entrypoint") or ()), *service["command"]]


def mounted(name: str) -> dict[str, Path]:
    """Files of ours that a container finds at other places: by the place it finds them at."""
    binds = (volume for volume in services()[name].get("volumes", ()) if volume["type"] == "bind")
    return {volume["target"]: (ROOT / volume["source"]).resolve() for volume in binds}
