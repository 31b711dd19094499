"""Test that other files list every project that is in projects.toml.

These files, such as the Procfile, cannot read projects.toml.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from tools.local import ROOT, is_deleted
from tools.projects import TABLE, Project


def expected(project: Project) -> list[tuple[str, str]]:
    """Return pairs `(file, line)`: the lines that a project needs in each file."""
    package, service = project.package, project.service
    lines = [
        ("Procfile", f"{package}: gunicorn -c python:common.server.gunicorn_conf {package}.wsgi"),
        (".dockerignore", f"!{package}"),
        (".github/workflows/security.yml", f"          - {package}"),
        ("Tiltfile", f'    project = "{package}",'),
        ("Tiltfile", f"    port = {project.port},"),
        ("compose.yaml", f"  {service}:"),
        ("compose.yaml", f"    image: ${{COMPOSE_PROJECT_NAME}}-{service}"),
        ("compose.yaml", f'    ports: ["127.0.0.1:{project.port}:8000"]'),
        ("pyproject.toml", f'    "{package}",'),
        ("pyproject.toml", f'    "{package}.*",'),
        ("k8s/base/kustomization.yaml", f"  - {service}"),
        (f"k8s/base/{service}/deployment.yaml", f"  name: {service}"),
        (f"k8s/base/{service}/ingress.yaml", f"    - host: {project.host}.example.local"),
        ("k8s/components/autoscaling/kustomization.yaml", f"  - {service}.yaml"),
        ("k8s/components/disruption-budgets/kustomization.yaml", f"  - {service}.yaml"),
        ("k8s/components/external-secrets/kustomization.yaml", f"  - {service}.yaml"),
        ("k8s/components/localhost/kustomization.yaml", f"  - {service}.yaml"),
        ("k8s/components/network-policies/kustomization.yaml", f"  - {service}.yaml"),
        ("k8s/components/release/kustomization.yaml", f"  - name: {service}"),
        ("k8s/components/tls/kustomization.yaml", f"  - path: {service}.yaml"),
        ("k8s/overlays/production/kustomization.yaml", f"  - name: {service}"),
    ]
    if project.database:
        server = project.postgres.removesuffix("-postgres")
        lines += [
            ("compose.yaml", f"  {service}-migrate:"),
            ("compose.yaml", f"  {project.postgres}:"),
            ("k8s/components/backup/kustomization.yaml", f"  - {service}.yaml"),
            ("k8s/components/network-policies/database.yaml", f"          - {service}"),
            ("k8s/components/postgres/kustomization.yaml", f"  - {server}"),
            ("k8s/components/postgres/kustomization.yaml", f"  - path: {service}.yaml"),
            (f"k8s/components/postgres/{server}/kustomization.yaml", f"namePrefix: {server}-"),
            ("k8s/components/release/kustomization.yaml", f"  - path: {service}.yaml"),
            ("k8s/components/sample-data/kustomization.yaml", f"  - path: {service}.yaml"),
        ]
    return [(name, line) for name, line in lines if not is_deleted(name)]


def missing(tree: Path, project: Project) -> list[str]:
    """Return a message for each line that the project needs but a tree lacks."""
    found = []
    for name, line in expected(project):
        file = tree / name
        if line not in (file.read_text().splitlines() if file.exists() else []):
            found.append(f"{name} has no line {line!r}, which the project {project.package} needs.")
    return found


@pytest.mark.parametrize("project", TABLE.values(), ids=TABLE)
def test_every_file_lists_every_project(project: Project) -> None:
    assert missing(ROOT, project) == []


@pytest.mark.parametrize("project", TABLE.values(), ids=TABLE)
def test_missing_line_is_reported_with_its_file(project: Project, tmp_path: Path) -> None:
    for name, _ in expected(project):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert missing(tmp_path, project) == []
    for name, line in expected(project):
        lines = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join(each for each in lines if each != line))
        message = f"{name} has no line {line!r}, which the project {project.package} needs."
        assert missing(tmp_path, project) == [message]
        (tmp_path / name).write_text("\n".join(lines))


def test_every_project_has_its_own_names_and_port() -> None:
    for values in zip(*((each.service, each.title, each.host, each.port) for each in TABLE.values()), strict=True):
        assert len({*values}) == len(TABLE)


def test_compose_defines_every_service_network_and_volume_that_it_uses() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {*service.get("depends_on", [])} <= compose["services"].keys(), name
        assert {*service.get("networks", [])} <= compose["networks"].keys(), name
        assert {volume for volume in volumes if not volume.startswith(".")} <= compose["volumes"].keys(), name


def test_compose_rebuilds_its_own_images_at_each_startup() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert compose["name"] == "thoughts"
    built = {service["image"] for service in compose["services"].values() if "build" in service}
    for service in compose["services"].values():
        assert service["image"] in built or service["image"].startswith("postgres:")
        assert service.get("pull_policy") == ("build" if "build" in service else None)
    assert built == {f"${{COMPOSE_PROJECT_NAME}}-{project.service}" for project in TABLE.values()}


def test_containers_can_read_their_code_whatever_the_umask_was() -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    for stage in ("development", "production"):
        [lines] = [text.splitlines() for text in stages if text.partition("\n")[0].endswith(f" AS {stage}")]
        copied = [line for line in lines if line.startswith("COPY ") and "--from=" not in line]
        assert copied
        assert all(line.startswith(("COPY --chmod=755 ", "COPY --chown=10001:10001 ")) for line in copied)
