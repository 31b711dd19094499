"""Tests that the manifests match the images and the projects.

The tests compare names, ports, hosts and settings.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from k8s.tests.manifests.objects import Object, Overlay, containers, name_of, pod, pod_labels, selects
from tools import cluster, kustomize
from tools.kubectl import Kubectl
from tools.local import PROJECTS, ROOT, Local, is_deleted
from tools.projects import PORTS, SERVICES, WITH_DATABASE

HOSTS = {service: f"{project.host}.example.local" for service, project in SERVICES.items()}
APIS = [project.service for project in WITH_DATABASE]
# In addition to a project's settings.py, these files read environment variables.
SERVER = ["common/environment.py", "common/server/gunicorn_conf.py", "common/settings.py"]
DUMMIES = {"DATABASE_URL": "postgresql://name@host/name", "SECRET_KEY": "x"}


def images(overlay: Overlay) -> dict[str, str]:
    """Return a dict that maps each image name, without the registry, to the tag."""
    found: dict[str, str] = {}
    for _, container in overlay.containers:
        name, _, tag = container["image"].rpartition("/")[2].partition("@")[0].partition(":")
        assert found.setdefault(name, tag) == tag
    return found


def component(workload: Object) -> str:
    """Return the component of a workload: server, migration, backup, …"""
    return pod_labels(workload)["app.kubernetes.io/component"]


def test_images_are_those_of_the_projects_and_the_database(local: Overlay, production: Overlay) -> None:
    assert images(local).keys() == images(production).keys() == {*cluster.IMAGES, "postgres"}


def test_dockerignore_allows_every_project() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{project}" for project in PROJECTS} <= set(allowed)
    assert {file.parent.name for file in ROOT.glob("k8s/base/*/deployment.yaml")} == {*cluster.IMAGES}


def test_every_image_has_a_specific_tag(overlay: Overlay) -> None:
    for tag in images(overlay).values():
        assert re.fullmatch(r"[a-z0-9-]+", tag)
        assert tag != "latest"


def test_production_images_have_a_registry_or_a_digest(production: Overlay) -> None:
    for name, container in production.containers:
        assert re.match(r"[^/]+[.:][^/]*/|postgres:\d+@sha256:[0-9a-f]{64}$", container["image"]), name


def test_container_runs_the_image_of_its_service(overlay: Overlay) -> None:
    for workload in overlay.of_kind("Deployment", "Job", "CronJob"):
        service = pod_labels(workload)["app.kubernetes.io/name"]
        expected = "postgres" if component(workload) in ("backup", "restore") else service
        for container in pod(workload)["containers"]:
            assert container["image"].rpartition("/")[2].partition(":")[0] == expected


def test_migration_job_is_named_after_the_release(overlay: Overlay) -> None:
    jobs = {f"{service}-migrate-{images(overlay)[service]}" for service in APIS}
    assert {name_of(job) for job in overlay.of_kind("Job")} == jobs


class Applied(Kubectl):
    """A kubectl that renders the manifests instead of applying them."""

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        assert arguments[:2] == ("apply", "--kustomize")
        self.objects = kustomize.render(Path(arguments[2]))
        return ""


def test_release_has_its_registry_and_tags(overlay: Overlay) -> None:
    tags = {service: f"r{number}" for number, service in enumerate(SERVICES)}
    kubectl = Applied()
    cluster.apply(kubectl, "localhost:5000", tags, overlay.name)
    release = Overlay(overlay.name, kubectl.objects)
    found = {container["image"] for _, container in release.containers} - {"postgres:17"}
    assert found == {f"localhost:5000/{name}:{tag}" for name, tag in tags.items()}
    assert {name_of(job) for job in release.of_kind("Job")} == {f"{name}-migrate-{tags[name]}" for name in APIS}


@pytest.mark.parametrize("service", HOSTS)
def test_service_forwards_port_80_to_port_8000_of_its_pods(overlay: Overlay, service: str) -> None:
    spec = overlay.get("Service", service)["spec"]
    [port] = spec["ports"]
    assert (port["name"], port["port"], spec.get("type", "ClusterIP")) == ("http", 80, "ClusterIP")
    selected = [each for each in overlay.workloads if selects({"matchLabels": spec["selector"]}, pod_labels(each))]
    assert [(each["kind"], name_of(each)) for each in selected] == [("Deployment", service)]
    [container] = containers(selected[0])
    # Probes and metrics are on a separate port. No Kubernetes Service forwards to it.
    assert container["ports"] == [
        {"name": port["targetPort"], "containerPort": 8000},
        {"name": "management", "containerPort": 9000},
    ]


@pytest.mark.parametrize("service", HOSTS)
def test_deployment_selects_only_its_own_pods(overlay: Overlay, service: str) -> None:
    selector = overlay.get("Deployment", service)["spec"]["selector"]
    selected = [each for each in overlay.workloads if selects(selector, pod_labels(each))]
    assert [(each["kind"], name_of(each)) for each in selected] == [("Deployment", service)]


@pytest.mark.parametrize("service", HOSTS)
def test_ingress_routes_its_host_to_its_service(overlay: Overlay, service: str) -> None:
    [rule] = overlay.get("Ingress", service)["spec"]["rules"]
    assert rule["host"] == HOSTS[service]
    for path in rule["http"]["paths"]:
        assert path["backend"] == {"service": {"name": service, "port": {"name": "http"}}}


def test_only_the_local_overlay_has_localhost_names(local: Overlay, production: Overlay) -> None:
    def hosts(overlay: Overlay) -> set[str]:
        return {rule["host"] for ingress in overlay.of_kind("Ingress") for rule in ingress["spec"]["rules"]}

    assert hosts(production) == {*HOSTS.values()}
    localhost = {f"{project.host}.localhost" for project in SERVICES.values()}
    assert hosts(local) == {*HOSTS.values()} | localhost


@pytest.mark.parametrize("service", HOSTS)
def test_allowed_hosts_include_service_and_public_host(overlay: Overlay, service: str) -> None:
    allowed = settings(overlay, service)["ALLOWED_HOSTS"].split(",")
    assert {service, HOSTS[service]} <= {*allowed}
    assert (".localhost" in allowed) == (overlay.name == "local")


def test_every_url_in_a_setting_is_a_service(overlay: Overlay) -> None:
    found = {
        match
        for service in HOSTS
        for name, value in settings(overlay, service).items()
        if not name.endswith("_PUBLIC_URL")
        for match in re.findall(r"http://([^/]+)", str(value))
    }
    assert found == {"users-api", "thoughts-api"}
    for name in found:
        assert overlay.get("Service", name)


def test_every_public_url_has_the_host_of_an_ingress(overlay: Overlay) -> None:
    hosts = {rule["host"] for ingress in overlay.of_kind("Ingress") for rule in ingress["spec"]["rules"]}
    scheme = "https" if overlay.name == "production" else "http"
    for service in HOSTS:
        urls = {name: value for name, value in settings(overlay, service).items() if name.endswith("_PUBLIC_URL")}
        expected = {"THOUGHTS_PUBLIC_URL", "USERS_PUBLIC_URL"} if service == "web" else {"WEB_PUBLIC_URL"}
        assert urls.keys() >= expected
        assert {*urls.values()} <= {f"{scheme}://{host}" for host in hosts}


def settings(overlay: Overlay, service: str) -> Object:
    """Return the environment variables of a service's Deployment."""
    [container] = pod(overlay.get("Deployment", service))["containers"]
    return overlay.environment(container)


def variables(*files: str | Path) -> set[str]:
    """Return the environment variables that Python files read.

    The function finds calls such as `env.str("NAME")`, `os.environ.get("NAME")` and `number("NAME", 1)`.
    """
    calls = [node for file in files for node in ast.walk(ast.parse((ROOT / file).read_text()))]
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call, ast.Call)
        and re.fullmatch(r"env\.\w+|os\.environ\.get|(environment\.)?(number|text|flag)", ast.unparse(call.func))
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def project_containers(overlay: Overlay) -> list[tuple[str, Object]]:
    """Return the containers that run a project's code, each with the project's name."""
    return [
        (cluster.IMAGES[name], container)
        for _, container in overlay.containers
        for name in cluster.IMAGES
        if container["image"].rpartition("/")[2].startswith(f"{name}:")
    ]


def test_project_reads_every_variable(overlay: Overlay) -> None:
    found = project_containers(overlay)
    cron_jobs = [each for each in overlay.of_kind("CronJob") if component(each) in ("flush-expired", "rotate-keys")]
    assert len(found) == len(SERVICES) + len(APIS) + len(cron_jobs)
    for project, container in found:
        assert overlay.environment(container).keys() <= variables(f"{project}/settings.py", *SERVER)


def test_every_container_starts_with_its_variables(overlay: Overlay) -> None:
    for project, container in project_containers(overlay):
        environment = {
            name: value if isinstance(value, str) else DUMMIES[name]
            for name, value in overlay.environment(container).items()
            if isinstance(value, str) or not value.get("optional")
        }
        done = subprocess.run(
            [sys.executable, "-c", f"from {project} import settings; print(settings.BEHIND_TLS)"],
            cwd=ROOT,
            env={**environment, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        is_server = "ports" in container
        assert done.stdout.strip() == str(is_server and overlay.name == "production")


def test_thoughts_api_has_the_same_number_of_threads_everywhere(overlay: Overlay, tmp_path: Path) -> None:
    [container] = pod(overlay.get("Deployment", "thoughts-api"))["containers"]
    without = Local(tmp_path, PORTS)
    without.make_secrets()
    environments = [overlay.environment(container), without.environment("thoughts_api")]
    if not is_deleted("compose.yaml"):
        compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
        environments.append(compose["services"]["thoughts-api"]["environment"])
    assert len({each["THREADS"] for each in environments}) == 1
