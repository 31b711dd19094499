"""Tests of the production overlay."""

import ipaddress
import itertools
import runpy

import pytest

from k8s.tests.manifests.network import Peer, accepts, sends
from k8s.tests.manifests.objects import Object, Overlay, name_of, pod, pod_labels, selects, strings
from tools.kubectl import NAMESPACE
from tools.local import ROOT
from tools.projects import SERVICES, WITH_DATABASE

APIS = [project.service for project in WITH_DATABASE]
POSTGRES_CONNECTIONS = 97  # PostgreSQL's default limit of 100, minus 3 that are reserved for superusers
NOT_PUBLIC = ["/admin", "/admin/", "/admin/login/", "/admin/users_api/user/", "/metrics", "/healthz", "/readyz"]


def selected(production: Overlay, selector: Object) -> list[str]:
    """Return the names of the workloads that a selector matches."""
    return [name_of(each) for each in production.workloads if selects(selector, pod_labels(each))]


@pytest.mark.parametrize("service", SERVICES)
def test_autoscaler_keeps_at_least_three_pods(production: Overlay, service: str) -> None:
    spec = production.get("HorizontalPodAutoscaler", service)["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": service}
    assert production.get("Deployment", service)["apiVersion"] == "apps/v1"
    assert spec["minReplicas"] == 3
    assert spec["maxReplicas"] > 3


@pytest.mark.parametrize("service", APIS)
def test_database_allows_the_connections_of_all_pods(
    production: Overlay, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = production.get("Deployment", service)
    [container] = pod(deployment)["containers"]
    environment = production.environment(container)
    pods = production.get("HorizontalPodAutoscaler", service)["spec"]["maxReplicas"]
    pods += deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    assert deployment["spec"]["minReadySeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"]
    pods += 1  # one terminating pod
    # At startup, a service logs a warning if its database allows too few connections for MAX_PODS pods.
    assert environment["MAX_PODS"] == str(pods)
    monkeypatch.delenv("THREADS", raising=False)
    if "THREADS" in environment:
        monkeypatch.setenv("THREADS", environment["THREADS"])
    threads: int = 1 + runpy.run_path(str(ROOT / "common" / "server" / "gunicorn_conf.py"))["threads"]
    # Without WEB_CONCURRENCY, gunicorn starts a process for each CPU.
    processes = int(environment.get("WEB_CONCURRENCY", container["resources"]["limits"]["cpu"]))
    migration = 1  # one connection; `threads` already counts the connection of the readiness check
    assert pods * processes * threads + migration <= POSTGRES_CONNECTIONS


def test_read_replica_is_optional(production: Overlay) -> None:
    [container] = pod(production.get("Deployment", "thoughts-api"))["containers"]
    secret = {"name": "thoughts-api", "key": "DATABASE_REPLICA_URL", "optional": True}
    assert production.environment(container)["DATABASE_REPLICA_URL"] == secret


@pytest.mark.parametrize("service", SERVICES)
def test_drain_evicts_one_pod_of_a_service_at_a_time(production: Overlay, service: str) -> None:
    spec = production.get("PodDisruptionBudget", service)["spec"]
    assert selected(production, spec["selector"]) == [service]
    assert spec["maxUnavailable"] == 1


@pytest.mark.parametrize("service", SERVICES)
def test_pods_of_a_service_are_spread_across_nodes_and_zones(production: Overlay, service: str) -> None:
    deployment = production.get("Deployment", service)
    constraints = pod(deployment)["topologySpreadConstraints"]
    keys = {each["topologyKey"] for each in constraints}
    assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    labels = pod_labels(deployment)
    for each in constraints:
        # Kubernetes adds the labels in matchLabelKeys to the selector. The manifests do not contain pod-template-hash.
        own = {key: labels[key] for key in each["matchLabelKeys"] if key != "pod-template-hash"}
        labels_of_all = each["labelSelector"]["matchLabels"] | own
        assert selected(production, {"matchLabels": labels_of_all}) == [service]
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"


def test_network_policies_allow_only_needed_connections_between_pods(production: Overlay) -> None:
    policies = production.of_kind("NetworkPolicy")
    pods = [Peer(name_of(each), pod_labels(each), NAMESPACE) for each in production.workloads]
    stranger = Peer("stranger", {"app.kubernetes.io/component": "server"}, NAMESPACE)
    impostor = Peer("impostor", pod_labels(production.get("Deployment", "web")), "elsewhere")
    [policy] = [each for each in policies if name_of(each) == "ingress-controller"]
    [expression] = policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"]
    controllers = [Peer(f"in {namespace}", {}, namespace) for namespace in expression["values"]]
    everyone = [*pods, stranger, impostor, *controllers]
    # web calls both APIs. All services except users-api load the public keys from users-api.
    within = {("web", "thoughts-api"), *((name, "users-api") for name in SERVICES if name != "users-api")}
    from_outside = {(controller.name, service) for controller in controllers for service in SERVICES}

    def pairs(port: int) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        both = list(itertools.permutations(everyone, 2))
        sent = {(a.name, b.name) for a, b in both if a in [*pods, stranger] and sends(policies, a, b, port)}
        accepted = {(a.name, b.name) for a, b in both if b in pods and accepts(policies, b, a, port)}
        return sent, accepted

    # The sender's policies alone must block every other connection, and so must the receiver's policies alone.
    assert pairs(8000) == (within, within | from_outside)
    for port in (80, 443, 5432, 9000, 9090):
        assert pairs(port) == (set(), set())


def test_apis_and_jobs_reach_the_external_database(production: Overlay) -> None:
    policies = production.of_kind("NetworkPolicy")
    [policy] = [each for each in policies if name_of(each) == "database"]
    [first, *_] = policy["spec"]["egress"][0]["to"]
    address = str(ipaddress.ip_network(first["ipBlock"]["cidr"])[0])
    database, elsewhere = Peer("database", address=address), Peer("elsewhere", address="203.0.113.7")
    pods = [Peer(name_of(each), pod_labels(each), NAMESPACE) for each in production.workloads]
    found = {source.name for source in pods if sends(policies, source, database, 5432)}
    jobs = {name_of(each) for each in production.of_kind("Job", "CronJob")}
    assert found == {*APIS, *jobs}
    without_token = [source for source in pods if source.labels["app.kubernetes.io/component"] != "rotate-keys"]
    for source, (target, port) in itertools.product(
        without_token, [(elsewhere, 5432), (elsewhere, 443), (database, 443)]
    ):
        assert not sends(policies, source, target, port)


@pytest.mark.parametrize("service", APIS)
def test_database_is_backed_up_each_night_and_can_be_restored(production: Overlay, service: str) -> None:
    backup, restore = (production.get("CronJob", f"{service}-{name}") for name in ("backup", "restore"))
    assert backup["spec"]["schedule"].split()[2:] == ["*", "*", "*"]
    assert not backup["spec"].get("suspend")
    assert restore["spec"]["suspend"] is True
    claim = {"claimName": f"{service}-backups"}
    assert production.get("PersistentVolumeClaim", claim["claimName"])
    for each in (backup, restore):
        assert claim in [volume.get("persistentVolumeClaim") for volume in pod(each)["volumes"]]
        [container] = pod(each)["containers"]
        assert production.environment(container) == {"DATABASE_URL": {"name": service, "key": "DATABASE_URL"}}


def test_every_pod_reaches_dns(production: Overlay) -> None:
    policies = production.of_kind("NetworkPolicy")
    dns = [Peer("dns", {"k8s-app": "kube-dns"}, "kube-system"), Peer("cache", address="169.254.20.10")]
    for each, target, protocol in itertools.product(production.workloads, dns, ("UDP", "TCP")):
        assert sends(policies, Peer(name_of(each), pod_labels(each), NAMESPACE), target, 53, protocol)


def test_every_policy_selects_a_pod(production: Overlay) -> None:
    for policy in production.of_kind("NetworkPolicy"):
        assert selected(production, policy["spec"]["podSelector"]), name_of(policy)


@pytest.mark.parametrize("service", SERVICES)
def test_ingress_has_a_certificate_and_redirects_to_https(production: Overlay, service: str) -> None:
    ingress = production.get("Ingress", service)
    assert ingress["spec"]["ingressClassName"]  # a cluster may have no default ingress class
    [tls] = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"] for rule in ingress["spec"]["rules"]]
    assert tls["secretName"] == f"{service}-tls"
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/ssl-redirect"] == "true"


@pytest.mark.parametrize("path", NOT_PUBLIC)
def test_admin_and_probes_are_not_public(production: Overlay, path: str) -> None:
    assert not routed(production.get("Ingress", "users-api"), path)
    # The Ingresses of the other services route all paths. This is safe, because these services have no admin and serve
    # their probes on another port.
    for ingress in production.of_kind("Ingress"):
        assert path not in [each["path"] for rule in ingress["spec"]["rules"] for each in rule["http"]["paths"]]


@pytest.mark.parametrize("path", ["/", "/api/login/", "/api/login", "/admin/users/", "/admin/users", "/schema/"])
def test_users_api_is_public(production: Overlay, path: str) -> None:
    assert routed(production.get("Ingress", "users-api"), path)


def routed(ingress: Object, path: str) -> bool:
    """Return whether an Ingress routes a path to its service."""
    return any(
        path == each["path"] or (each["pathType"] == "Prefix" and _is_below(path, each["path"]))
        for rule in ingress["spec"]["rules"]
        for each in rule["http"]["paths"]
    )


def _is_below(path: str, prefix: str) -> bool:
    parts, of_prefix = path.strip("/").split("/"), prefix.strip("/").split("/")
    return prefix == "/" or parts[: len(of_prefix)] == of_prefix


def test_production_has_no_development_settings(production: Overlay) -> None:
    assert not production.of_kind("StatefulSet")
    for each in production.objects:
        for path, text in strings(each):
            assert "SIGN_UP" not in path
            assert "FAULTS" not in f"{path} {text}"
            assert "load_sample_data" not in text, path
            assert ".localhost" not in text, path
