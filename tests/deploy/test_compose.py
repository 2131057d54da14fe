"""docker-compose.yml: Compose takes it, every container is contained, and no secret works unless one has made it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.settings import PREFIX, Settings, load_settings
from common.shops import load_shops
from tests.deploy.compose import COMMAND, FIVE, SECRETS, arguments, command, environment, mounted, services
from tests.deploy.tools import ROOT, attempt, from_packages

ENV_EXAMPLE = ROOT / ".env.example"
OURS = (*FIVE, *COMMAND)
ALL = (*OURS, "kafka", "postgres", "prometheus", "grafana", "mailpit")
KNOWN = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_every_part_of_the_house_is_there() -> None:
    assert set(services()) == set(ALL)


@pytest.mark.parametrize("secret", SECRETS)
def test_it_does_not_start_without_the_secret(secret: str, tmp_path: Path) -> None:
    """As one finds it in .env.example: there is no secret that works unless one has made it."""
    env_file = tmp_path / ".env"
    lines = ENV_EXAMPLE.read_text(encoding="utf-8").splitlines()
    env_file.write_text("\n".join(line + SECRETS.get(line.rstrip("="), "") * (line != f"{secret}=") for line in lines))
    done = attempt(from_packages("docker-compose"), arguments(env_file))
    assert done.returncode != 0
    missing = set(re.findall(r"required variable (\w+) is missing a value: set it in \.env", done.stderr))
    assert missing == {secret}


def test_env_example_names_every_variable_and_no_other() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked_for = set(re.findall(r"\$\{(\w+)", compose))
    offered = dict(re.findall(r"^(\w+)=(.*)$", ENV_EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(offered) == asked_for
    assert set(offered.values()) == {""}


@pytest.mark.parametrize("name", ALL)
def test_a_container_is_contained(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert all("size=" in place for place in service["tmpfs"]), "memory that nobody bounds"
    assert all(volume["read_only"] for volume in service.get("volumes", ()) if volume["type"] == "bind")
    for port in service.get("ports", ()):
        assert port["host_ip"] == "127.0.0.1"


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_pinned(name: str) -> None:
    image, _, tag = services()[name]["image"].rpartition(":")
    assert image
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?", tag), tag
    if name in OURS:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert tag == project["version"]
        package = image.removeprefix("regulars/")
        assert services()[name]["build"]["args"]["SERVICE"] == package
        assert package in command(name)


@pytest.mark.parametrize("name", [name for name in ALL if name not in COMMAND])
def test_what_runs_on_is_asked_how_it_is_and_restarted(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert name in FIVE or check["test"][0] == "CMD", "ours have the image's own"


def test_nothing_starts_before_what_it_needs() -> None:
    def needs(name: str) -> dict[str, str]:
        wanted: dict[str, dict[str, Any]] = services()[name].get("depends_on", {})
        return {other: how["condition"] for other, how in wanted.items()}

    for name in FIVE:
        assert needs(name) == {"migrate": "service_completed_successfully", "kafka": "service_healthy"}
    for name in COMMAND:
        assert needs(name) == {"postgres": "service_healthy"}
    assert needs("grafana") == {"prometheus": "service_healthy"}


def test_data_is_out_of_reach() -> None:
    networks: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["networks"]
    assert networks["data"] == {"internal": True}
    for name in ("kafka", "postgres"):
        assert set(services()[name]["networks"]) == {"data"}
        assert not services()[name].get("ports")
    for name in ("prometheus", "grafana", "mailpit"):
        assert "data" not in services()[name]["networks"]


def test_each_knows_only_the_secrets_it_needs() -> None:
    def who_knows(secret: str) -> set[str]:
        value = SECRETS[secret]
        return {
            name
            for name in ALL
            if any(value in str(told) for told in (services()[name].get("environment") or {}).values())
        }

    assert who_knows("REGULARS_VAULT_KEY") == {"ingest"}
    assert who_knows("REGULARS_INTERNAL_KEY") == {"ingest", "notifier"}
    assert who_knows("REGULARS_DATABASE_PASSWORD") == {*FIVE, *COMMAND}
    assert who_knows("DATABASE_ADMIN_PASSWORD") == {*COMMAND, "postgres"}
    assert who_knows("POSTGRES_PASSWORD") == {"postgres"}
    assert who_knows("GRAFANA_PASSWORD") == {"grafana"}


@pytest.mark.parametrize("name", OURS)
def test_settings_are_ones_that_we_know_and_take(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {key: value for key, value in environment(name).items() if key.startswith(PREFIX)}
    assert not ours.keys() - KNOWN
    for variable in KNOWN:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in ours.items():
        monkeypatch.setenv(variable, mounted(name).get(value, value).__str__())
    settings = load_settings()
    assert settings.database == "postgresql://postgres:5432/regulars"
    assert settings.shops is not None
    assert "demo" in load_shops(settings.shops)
    assert (settings.kafka == "kafka:9092") == (name in FIVE)


def test_the_monitoring_finds_what_is_mounted_for_it() -> None:
    assert (mounted("prometheus")["/etc/prometheus"] / "prometheus.yml").is_file()
    boards = mounted("grafana")["/etc/grafana/boards"]
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (boards / Path(home).relative_to("/etc/grafana/boards")).is_file()
    provided = mounted("grafana")["/etc/grafana/provisioning"]
    (provider,) = yaml.safe_load((provided / "dashboards/boards.yml").read_text(encoding="utf-8"))["providers"]
    assert provider["options"]["path"] == "/etc/grafana/boards"
    (source,) = yaml.safe_load((provided / "datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    scraped = yaml.safe_load((mounted("prometheus")["/etc/prometheus"] / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped["scrape_configs"]}
    assert targets == {name: [f"{name}:8000"] for name in FIVE}
    assert environment("ingest")["REGULARS_PORT"] == "8000"
