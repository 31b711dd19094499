"""Evaluate NetworkPolicies.

See https://kubernetes.io/docs/concepts/services-networking/network-policies/ for the rules.
"""

import ipaddress
from dataclasses import dataclass, field

from k8s.tests.manifests.objects import Object, selects


@dataclass(frozen=True)
class Peer:
    """An endpoint of a connection: a pod, or an address outside the cluster.

    An address outside the cluster has no namespace.
    """

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""
    address: str = ""


def sends(policies: list[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Return whether the policies of the source pod allow it to open a connection."""
    return _allows(policies, "Egress", source, target, port, protocol)


def accepts(policies: list[Object], target: Peer, source: Peer, port: int, protocol: str = "TCP") -> bool:
    """Return whether the policies of the target pod allow it to accept a connection."""
    return _allows(policies, "Ingress", target, source, port, protocol)


def _allows(policies: list[Object], direction: str, pod: Peer, other: Peer, port: int, protocol: str) -> bool:
    specs = [
        each["spec"]
        for each in policies
        if each["metadata"]["namespace"] == pod.namespace
        and direction in each["spec"]["policyTypes"]
        and selects(each["spec"]["podSelector"], pod.labels)
    ]
    # If no policy selects the pod for this direction, Kubernetes allows all connections.
    return not specs or any(
        _matches(rule["from" if direction == "Ingress" else "to"], other, pod.namespace)
        and {"port": port, "protocol": protocol} in rule["ports"]
        for spec in specs
        for rule in spec.get(direction.lower(), [])
    )


def _matches(peers: list[Object], other: Peer, namespace: str) -> bool:
    return any(_matches_one(peer, other, namespace) for peer in peers)


def _matches_one(peer: Object, other: Peer, namespace: str) -> bool:
    if "ipBlock" in peer:
        network = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return bool(other.address) and ipaddress.ip_address(other.address) in network
    if not other.namespace or not selects(peer.get("podSelector", {}), other.labels):
        return False
    if "namespaceSelector" in peer:
        return selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    return other.namespace == namespace
