"""Renders an overlay as `kubectl apply --kustomize` would, and finds things in what comes out."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from tests.deploy.compose import SECRETS
from tests.deploy.dockerfile import stages
from tests.deploy.tools import ROOT, from_packages, run

K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("dev", "production", "production-keda")

Manifest = dict[str, Any]


@lru_cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """All resources of an overlay."""
    told = run(from_packages("kubectl"), "kustomize", K8S / "overlays" / overlay)
    return tuple(yaml.safe_load_all(told))


def of_kind(overlay: str, *kinds: str) -> Iterator[Manifest]:
    """Its resources of some kinds."""
    return (manifest for manifest in rendered(overlay) if manifest["kind"] in kinds)


def named(overlay: str, kind: str, name: str) -> Manifest:
    """The one resource of that kind and name."""
    (found,) = (manifest for manifest in of_kind(overlay, kind) if name_of(manifest) == name)
    return found


def name_of(manifest: Manifest) -> str:
    """What it is called."""
    name: str = manifest["metadata"]["name"]
    return name


def workloads(overlay: str) -> dict[str, Manifest]:
    """Everything that makes pods, by name."""
    return {name_of(each): each for each in of_kind(overlay, "Deployment", "StatefulSet", "Job")}


def pod(workload: Manifest) -> Manifest:
    """The specification of its pods."""
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def labels(workload: Manifest) -> dict[str, str]:
    """The labels of its pods."""
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def container(workload: Manifest) -> Manifest:
    """The only container of its pods."""
    (found,) = pod(workload)["containers"]
    assert isinstance(found, dict)
    return found


def selects(selector: Mapping[str, Any], having: Mapping[str, str]) -> bool:
    """Whether a label selector takes something with these labels; an empty one takes everything."""
    if selector.keys() - {"matchLabels", "matchExpressions"}:
        raise AssertionError(f"not a label selector: {selector}")
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In", "the only one we use"
        if having.get(expression["key"]) not in expression["values"]:
            return False
    return all(having.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def variables(overlay: str, name: str) -> dict[str, str]:
    """All that a workload's container sees; for a secret, an example of its kind."""
    workload = workloads(overlay)[name]
    seen = dict(stages()[-1].environment)
    for source in container(workload)["envFrom"]:
        seen |= named(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    examples = SECRETS | {
        "REGULARS_ADMIN_DATABASE": "postgresql://regulars_admin:x@postgres:5432/regulars",
        "REGULARS_SMTP_URL": "smtp://mail:25",
        "REGULARS_VAULT_OLD_KEYS": SECRETS["REGULARS_VAULT_KEY"],
    }
    for variable in container(workload)["env"]:
        seen[variable["name"]] = variable.get("value") or examples[variable["name"]]
    return seen
