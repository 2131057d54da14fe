"""Under Kubernetes: how many of each there are, on what they scale, and how Prometheus finds them."""

import pytest

from common.contracts.topics import TOPICS
from common.ids import PARTITIONS
from tests.deploy.compose import FIVE
from tests.deploy.kustomize import OVERLAYS, labels, name_of, of_kind, selects, variables, workloads

READS = {  # whose topics
    "segmentation": ("ingest", "loyalty", "notifier"),
    "journeys": ("ingest",),
    "loyalty": ("ingest",),
    "notifier": ("journeys",),
}


@pytest.mark.parametrize("overlay", ["production", "production-keda"])
def test_production_scales_everything_once(overlay: str) -> None:
    scaled = [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert sorted(scaled) == sorted(FIVE)
    for each in of_kind(overlay, "HorizontalPodAutoscaler"):
        assert 2 <= each["spec"]["minReplicas"] < each["spec"]["maxReplicas"] <= PARTITIONS
    assert not [name for name, each in workloads(overlay).items() if "replicas" in each["spec"]], "it would fight"


def test_consumers_scale_on_the_lag_of_what_they_read() -> None:
    owned = {(topic.owner, topic.work): topic.name for topic in TOPICS}
    scaled = {name_of(each): each["spec"] for each in of_kind("production-keda", "ScaledObject")}
    assert scaled.keys() == READS.keys()
    for name, spec in scaled.items():
        assert 2 <= spec["minReplicaCount"] < spec["maxReplicaCount"] <= PARTITIONS
        assert spec["scaleTargetRef"] == {"name": name}
        read = [trigger["metadata"]["topic"] for trigger in spec["triggers"]]
        assert read == [*(owned[owner, False] for owner in READS[name]), owned[name, True]]
        for trigger in spec["triggers"]:
            assert trigger["type"] == "kafka"
            assert trigger["metadata"].keys() == {"bootstrapServersFromEnv", "consumerGroup", "topic", "lagThreshold"}
            assert trigger["metadata"]["consumerGroup"] == name
            assert trigger["metadata"]["bootstrapServersFromEnv"] in variables("production-keda", name)
            assert int(trigger["metadata"]["lagThreshold"]) > 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_prometheus_finds_the_five(overlay: str) -> None:
    for name in FIVE:
        annotations = workloads(overlay)[name]["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {
            "prometheus.io/scrape": "true",
            "prometheus.io/path": "/metrics",
            "prometheus.io/port": "8000",
        }
    for monitor in of_kind(overlay, "PodMonitor"):
        chosen = [
            name for name, each in workloads(overlay).items() if selects(monitor["spec"]["selector"], labels(each))
        ]
        assert sorted(chosen) == sorted(FIVE)
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
        assert {labels(workloads(overlay)[name])[monitor["spec"]["jobLabel"]] for name in FIVE} == set(FIVE)
    assert bool(list(of_kind(overlay, "PodMonitor"))) == (overlay == "production-keda")
