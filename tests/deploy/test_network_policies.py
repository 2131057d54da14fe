"""Who may speak to whom under Kubernetes: the policies, decided as the cluster decides them."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.compose import FIVE
from tests.deploy.kustomize import OVERLAYS, labels, of_kind, selects, workloads

HTTP, POSTGRES, KAFKA, DNS, SUBMISSION, MAILPIT = 8000, 5432, 9092, 53, 587, 1025
Peer = tuple[str, Mapping[str, str], Mapping[str, str]]  # namespace, its labels, the pod's labels
OUTSIDE: Peer = ("", {}, {})  # on the internet
DNS_SERVER: Peer = ("kube-system", {"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "kube-dns"})
PROMETHEUS: Peer = ("monitoring", {"regulars/asks": "true"}, {"app.kubernetes.io/name": "prometheus"})
DATABASES: Peer = ("data", {"regulars/data": "true"}, {"app.kubernetes.io/name": "postgres"})
STRANGER: Peer = ("strange", {}, {"app.kubernetes.io/component": "service"})


class Network:
    """The policies of an overlay: traffic passes when both ends let it pass."""

    def __init__(self, overlay: str) -> None:
        (space,) = of_kind(overlay, "Namespace")
        self._space, self._space_labels = space["metadata"]["name"], space["metadata"]["labels"]
        self._policies = [policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")]
        self._pods = {name: labels(workload) for name, workload in workloads(overlay).items()}

    def passes(self, source: str | Peer, target: str | Peer, port: int) -> bool:
        """Whether a connection (UDP for names, else TCP) gets from one to the other; ours are told by name."""
        return self._lets("Egress", source, target, port) and self._lets("Ingress", target, source, port)

    def _lets(self, direction: str, end: str | Peer, other: str | Peer, port: int) -> bool:
        if not isinstance(end, str):
            return True  # not ours to say
        mine = self._pods[end]
        applying = [p for p in self._policies if direction in p["policyTypes"] and selects(p["podSelector"], mine)]
        assert applying, f"nothing decides on {direction} of {end}"
        sides = [rule for policy in applying for rule in policy.get(direction.lower(), ())]
        key = "to" if direction == "Egress" else "from"
        return any(self._rule_takes(rule, rule.get(key), other, port) for rule in sides)

    def _rule_takes(self, rule: Mapping[str, Any], peers: list[Any] | None, other: str | Peer, port: int) -> bool:
        protocol = "UDP" if port == DNS else "TCP"
        on_port = any(p["port"] == port and p["protocol"] == protocol for p in rule["ports"])
        return on_port and (peers is None or any(self._is(peer, other) for peer in peers))

    def _is(self, peer: Mapping[str, Any], other: str | Peer) -> bool:
        assert peer.keys() <= {"podSelector", "namespaceSelector"}
        if isinstance(other, str):
            other = (self._space, self._space_labels, self._pods[other])
        space, space_labels, pod_labels = other
        if "namespaceSelector" in peer:
            in_space = space != "" and selects(peer["namespaceSelector"], space_labels)
        else:
            in_space = space == self._space
        return in_space and selects(peer.get("podSelector", {}), pod_labels)


@pytest.fixture(params=OVERLAYS)
def network(request: pytest.FixtureRequest) -> Network:
    """Of each overlay."""
    return Network(request.param)


def test_what_has_to_pass_passes(network: Network) -> None:
    for name in FIVE:
        assert network.passes(name, DNS_SERVER, DNS)
        assert network.passes(name, DATABASES, POSTGRES)
        assert network.passes(name, DATABASES, KAFKA)
        assert network.passes(PROMETHEUS, name, HTTP)
    assert network.passes("migrate", DATABASES, POSTGRES)
    assert network.passes("notifier", "ingest", HTTP)
    assert network.passes("notifier", OUTSIDE, SUBMISSION)


def test_nothing_else_passes(network: Network) -> None:
    for name in FIVE:
        assert not network.passes(name, OUTSIDE, 443)
        assert not network.passes(STRANGER, name, HTTP)
        assert not network.passes(OUTSIDE, name, HTTP)
        for other in FIVE:
            if (name, other) != ("notifier", "ingest"):
                assert not network.passes(name, other, HTTP)
        if name != "notifier":
            assert not network.passes(name, OUTSIDE, SUBMISSION)
            assert not network.passes(name, "ingest", HTTP)
    assert not network.passes("migrate", DATABASES, KAFKA)
    assert not network.passes("migrate", "ingest", HTTP)


def test_in_dev_the_data_is_reached_by_who_needs_it() -> None:
    network = Network("dev")
    for name in FIVE:
        assert network.passes(name, "postgres", POSTGRES)
        assert network.passes(name, "kafka", KAFKA)
        assert network.passes(name, "mailpit", MAILPIT) == (name == "notifier")
    assert network.passes("migrate", "postgres", POSTGRES)
    assert not network.passes("migrate", "kafka", KAFKA)
    for name in ("postgres", "kafka", "mailpit"):
        assert not network.passes(name, OUTSIDE, 443)
        assert not network.passes(name, "ingest", HTTP)
        assert not network.passes(STRANGER, name, POSTGRES)
