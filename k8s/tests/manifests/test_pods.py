"""Tests of the pods in the manifests: security, probes, resources and shutdown."""

import runpy
from typing import Any

import pytest

from k8s.tests.manifests.objects import Object, Overlay, containers, name_of, pod
from tools.kubectl import NAMESPACE
from tools.projects import SERVICES

UNITS = {"m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def quantity(text: str) -> float:
    """Convert a Kubernetes quantity to a number."""
    unit = next((unit for unit in UNITS if text.endswith(unit)), "")
    return float(text.removesuffix(unit)) * UNITS.get(unit, 1)


# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted. The test allows only the fields that
# it names. So no pod can have privileged containers, sysctls, SELinux options or other kinds of volumes.
def test_every_pod_meets_the_restricted_profile(overlay: Overlay) -> None:
    for workload in overlay.workloads:
        spec = pod(workload)
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "ephemeralContainers"}
        security = spec["securityContext"]
        assert security.keys() <= {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile"}
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        for container in containers(workload):
            security = container["securityContext"]
            assert security.keys() == {"allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"}
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            for port in container.get("ports", []):
                assert not port.keys() & {"hostPort", "hostIP"}
            for handler in handlers(container):
                assert "host" not in handler.get("httpGet", {}).keys() | handler.get("tcpSocket", {}).keys()


def handlers(container: Object) -> list[Object]:
    """Return the probes and hooks of a container."""
    probes = [container[key] for key in ("startupProbe", "readinessProbe", "livenessProbe") if key in container]
    return [*probes, *container.get("lifecycle", {}).values()]


def test_namespace_enforces_the_restricted_profile(overlay: Overlay) -> None:
    labels = overlay.get("Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_root_file_system_is_read_only_except_in_development_servers(overlay: Overlay) -> None:
    for name, container in overlay.containers:
        code = overlay.name == "local" and name in [f"{service}/server" for service in SERVICES]
        assert container["securityContext"]["readOnlyRootFilesystem"] is not code, name


def test_only_the_jobs_that_rotate_keys_have_a_service_account_token(overlay: Overlay) -> None:
    for account in overlay.of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for workload in overlay.workloads:
        assert pod(workload)["automountServiceAccountToken"] is ("rotate-keys" in name_of(workload))
        if workload["kind"] != "StatefulSet":
            account = pod(workload)["serviceAccountName"]
            assert name_of(workload).startswith(account)
            assert overlay.get("ServiceAccount", account)


@pytest.mark.parametrize("service", SERVICES)
def test_only_readiness_checks_the_database(overlay: Overlay, service: str) -> None:
    [container] = pod(overlay.get("Deployment", service))["containers"]
    paths = {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    assert {key: container[key]["httpGet"] for key in paths} == {
        key: {"path": path, "port": "management"} for key, path in paths.items()
    }
    assert {container[key]["timeoutSeconds"] for key in paths} == {1}


def test_every_server_has_probes(overlay: Overlay) -> None:
    for workload in overlay.of_kind("Deployment", "StatefulSet"):
        for container in pod(workload)["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_every_container_has_requests_and_limits(overlay: Overlay) -> None:
    for name, container in overlay.containers:
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests.keys() == limits.keys() == {"cpu", "memory"}, name
        for key in limits:
            assert 0 < quantity(requests[key]) <= quantity(limits[key]), name


@pytest.mark.parametrize("service", SERVICES)
def test_pre_stop_and_drain_fit_within_the_grace_period(
    overlay: Overlay, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drain(**environment: str) -> Any:
        monkeypatch.delenv("GRACEFUL_TIMEOUT", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return runpy.run_module("common.server.gunicorn_conf")["graceful_timeout"]

    spec = pod(overlay.get("Deployment", service))
    [container] = spec["containers"]
    wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert wait > 0
    setting = overlay.environment(container)["GRACEFUL_TIMEOUT"]
    assert drain(GRACEFUL_TIMEOUT=setting) == int(setting)
    for seconds in (drain(GRACEFUL_TIMEOUT=setting), drain()):
        assert wait + seconds < spec["terminationGracePeriodSeconds"]


def test_rollout_keeps_all_pods_available(overlay: Overlay) -> None:
    for deployment in overlay.of_kind("Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_no_deployment_sets_replicas(overlay: Overlay) -> None:
    # With `replicas`, each `kubectl apply` would undo the autoscaler's choice.
    for deployment in overlay.of_kind("Deployment"):
        assert "replicas" not in deployment["spec"]


def test_expired_data_is_deleted_hourly(overlay: Overlay) -> None:
    cron_job = overlay.get("CronJob", "users-api-flush-expired")
    [container] = pod(cron_job)["containers"]
    assert container["command"] == ["python", "users_api/manage.py", "flush_expired"]
    assert cron_job["spec"]["schedule"].split()[1:] == ["*", "*", "*", "*"]
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    assert overlay.environment(container)["DATABASE_URL"] == {"name": "users-api", "key": "DATABASE_URL"}


def test_jobs_that_rotate_keys_may_change_only_the_secret_with_the_keys(production: Overlay) -> None:
    [role] = production.of_kind("Role")
    [rule] = role["rules"]
    assert rule["resources"] == ["secrets"]
    assert rule["resourceNames"] == ["users-api-keys"]
    assert rule["verbs"] == ["get", "update"]
    [binding] = production.of_kind("RoleBinding")
    assert binding["roleRef"]["name"] == name_of(role)
    [subject] = binding["subjects"]
    rotating = sorted(
        name_of(each) for each in production.workloads if pod(each).get("serviceAccountName") == subject["name"]
    )
    assert rotating == ["users-api-rotate-keys", "users-api-rotate-keys-now"]
