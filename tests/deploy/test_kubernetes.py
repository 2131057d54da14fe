"""The manifests of deploy/k8s: valid, contained, without secrets, and consistent with each other and with the code."""

import re
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml

from common.settings import PREFIX, Settings, load_settings
from common.shops import load_shops
from tests.deploy.compose import FIVE, services
from tests.deploy.dockerfile import stages
from tests.deploy.kustomize import (
    OVERLAYS,
    container,
    labels,
    name_of,
    named,
    of_kind,
    pod,
    rendered,
    selects,
    variables,
    workloads,
)
from tests.deploy.tools import ROOT

VERSIONS = ("1.30", "1.37")  # the oldest that has all we use, and the newest that the validator knows
EXTENSIONS = {"ScaledObject", "PodMonitor"}  # of KEDA and of the Prometheus operator: no schemas come with Kubernetes
OURS = (*FIVE, "migrate")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_all_of_it(overlay: str, version: str) -> None:
    for manifest in rendered(overlay):
        if manifest["kind"] not in EXTENSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_validator_would_say_so() -> None:
    broken: dict[str, Any] = dict(named("dev", "Deployment", "ingest"), spec={"replicas": "two"})
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_one_namespace_under_the_strictest_standard(overlay: str) -> None:
    (space,) = of_kind(overlay, "Namespace")
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    spaces = {manifest["metadata"].get("namespace") for manifest in rendered(overlay) if manifest is not space}
    assert spaces == {name_of(space)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_contained(overlay: str) -> None:
    for name, workload in workloads(overlay).items():
        spec, inside = pod(workload), container(workload)
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert inside["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert set(inside["resources"]["limits"]) == set(inside["resources"]["requests"]) == {"cpu", "memory"}, name
        assert not [
            v for v in spec["volumes"] if "hostPath" in v or ("emptyDir" in v and "sizeLimit" not in v["emptyDir"])
        ]
        assert {mount["name"] for mount in inside["volumeMounts"]} == {v["name"] for v in spec["volumes"]} | {
            claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())
        }, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_asked_how_it_is(overlay: str) -> None:
    for name, workload in workloads(overlay).items():
        inside = container(workload)
        if workload["kind"] == "Job":
            continue
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(inside), name
        if name in FIVE:
            assert inside["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
            assert inside["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
            (port,) = inside["ports"]
            assert port == {"name": "http", "containerPort": int(stages()[-1].environment["REGULARS_PORT"])}
            given_s = pod(workload)["terminationGracePeriodSeconds"]
            assert (
                given_s
                > inside["lifecycle"]["preStop"]["sleep"]["seconds"] + Settings.model_fields["shutdown_s"].default
            )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_and_commands_are_those_of_compose(overlay: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, workload in workloads(overlay).items():
        inside = container(workload)
        assert inside["image"] == services()[name]["image"]
        if name in OURS:
            assert inside["image"].endswith(":" + project["version"])
            assert inside["command"] == services()[name]["command"]
            assert str(pod(workload)["securityContext"]["runAsUser"]) == stages()[-1].only("USER").partition(":")[0]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_named_and_never_told(overlay: str) -> None:
    assert not list(of_kind(overlay, "Secret"))
    secret = re.compile("password|key|token|secret|admin_database", re.IGNORECASE)
    for workload in workloads(overlay).values():
        for variable in container(workload)["env"]:
            assert ("secretKeyRef" in variable.get("valueFrom", {})) or not secret.search(variable["name"])
    for settings in of_kind(overlay, "ConfigMap"):
        assert not [name for name in settings["data"] if secret.search(name)]
        assert not re.search(r"://[^/\s]*:[^/\s]*@", str(settings["data"]))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_are_ones_that_we_know_and_take(
    overlay: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = {key: value for key, value in variables(overlay, name).items() if key.startswith(PREFIX)}
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    assert not ours.keys() - known
    shops = tmp_path / "shops.yaml"
    shops.write_text(named(overlay, "ConfigMap", "regulars-shops")["data"]["shops.yaml"])
    (mount,) = (m for m in container(workloads(overlay)[name])["volumeMounts"] if m["name"] == "shops")
    assert ours["REGULARS_SHOPS"] == f"{mount['mountPath']}/{shops.name}"
    for variable in known:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in (ours | {"REGULARS_SHOPS": str(shops)}).items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert "demo" in load_shops(settings.shops)
    assert (settings.vault_key is not None) == (name == "ingest")
    assert (settings.internal_key is not None) == (name in {"ingest", "notifier"})
    assert (settings.admin_database is not None) == (name == "migrate")
    if name == "notifier":
        ingest = named(overlay, "Service", "ingest")
        assert settings.ingest_url == f"http://{name_of(ingest)}:{ingest['spec']['ports'][0]['port']}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_points_somewhere_points_at_something(overlay: str) -> None:
    made = workloads(overlay)
    for workload in made.values():
        if workload["kind"] != "Job":
            assert selects(workload["spec"]["selector"], labels(workload))
    for service in of_kind(overlay, "Service"):
        chosen = [each for each in made.values() if selects({"matchLabels": service["spec"]["selector"]}, labels(each))]
        assert [name_of(each) for each in chosen] == [name_of(service)]
        offered = {port["name"] for port in container(chosen[0])["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered
    for budget in of_kind(overlay, "PodDisruptionBudget"):
        chosen = [each for each in made.values() if selects(budget["spec"]["selector"], labels(each))]
        assert [name_of(each) for each in chosen] == [name_of(budget)]
        assert budget["spec"]["maxUnavailable"] == 1
    assert {name_of(budget) for budget in of_kind(overlay, "PodDisruptionBudget")} == set(FIVE)
    accounts = {name_of(account) for account in of_kind(overlay, "ServiceAccount")}
    assert {pod(made[name])["serviceAccountName"] for name in OURS} == accounts == set(OURS)


def test_dev_sets_its_database_up_as_compose_does() -> None:
    script = (ROOT / "deploy" / "postgres" / "admin.sh").read_text(encoding="utf-8")
    assert named("dev", "ConfigMap", "postgres-setup")["data"] == {"10-admin.sh": script}


def test_both_ways_start_with_the_same_shops() -> None:
    ours = yaml.safe_load((ROOT / "deploy" / "shops.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(named("dev", "ConfigMap", "regulars-shops")["data"]["shops.yaml"]) == ours
