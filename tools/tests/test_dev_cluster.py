"""Tests of `make cluster` with stand-ins for docker, kind, k3d and kubectl.

CI has none of these programs. So we also checked the files in k8s/cluster/ by hand. For kind, we used the parser and
the `docker run` command of kind 0.33. For k3d, we used the schema of k3d 5.8. We also deployed
k8s/cluster/traefik to a cluster.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from tools import cluster, dev_cluster, kustomize
from tools.kubectl import Kubectl
from tools.local import ROOT

TEXT, PORT = {"type": "string"}, {"enum": [80, 443]}


def strict(**properties: Any) -> dict[str, Any]:
    """Return a JSON schema of an object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def several(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema of a list."""
    return {"type": "array", "items": schema, "minItems": 1}


PINNED = {"type": "string", "pattern": r":v?\d+\.\d+\.\d+[-a-z0-9]*(@sha256:[0-9a-f]{64})?$"}
# Only the fields in use: https://kind.sigs.k8s.io/docs/user/configuration/, https://k3d.io/stable/usage/configfile/
SCHEMAS = {
    "kind.yaml": strict(
        apiVersion={"const": "kind.x-k8s.io/v1alpha4"},
        kind={"const": "Cluster"},
        name={"const": dev_cluster.NAME},
        nodes=several(
            strict(
                role={"const": "control-plane"},
                image=PINNED,
                extraPortMappings=several(
                    strict(containerPort=PORT, hostPort=PORT, listenAddress={"const": "127.0.0.1"})
                ),
            )
        ),
    ),
    "k3d.yaml": strict(
        apiVersion={"const": "k3d.io/v1alpha5"},
        kind={"const": "Simple"},
        metadata=strict(name={"const": dev_cluster.NAME}),
        image=PINNED,
        ports=several(strict(port={"pattern": r"^127\.0\.0\.1:(80:80|443:443)$"}, nodeFilters=several(TEXT))),
        registries=strict(
            create=strict(
                name={"const": dev_cluster.REGISTRY},
                image={"const": dev_cluster.REGISTRY_IMAGE},
                host={"const": "127.0.0.1"},
                hostPort={"const": str(dev_cluster.REGISTRY_PORT)},
            )
        ),
    ),
}
VERSIONS = {"kind": "kind v0.33.0 go1.26.8 linux/amd64", "k3d": "k3d version v5.8.3"}


class StandIns:
    """Programs on the PATH that record their arguments, and fail on request."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.log.touch()
        for name in ("docker", "kubectl"):
            self.add(name)
        for name, version in VERSIONS.items():
            self.add(name, version=version)

    def add(self, name: str, version: str = "", fails: str = "inspect|cluster get") -> None:
        """Add a program. It fails if its arguments contain a match of the pattern `fails`."""
        program = self.folder / name
        program.write_text(
            f'#!/bin/sh\nPATH={os.defpath}\n[ "$1" = version ] && echo "{version}" && exit\n'
            f'echo "{name} $*" >> {self.log}\n'
            f'if echo "$*" | grep -qE "{fails or "^$"}"; then exit 1; fi\n'
        )
        program.chmod(0o755)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run tools.dev_cluster."""
        command = [sys.executable, "-m", "tools.dev_cluster", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env={"PATH": str(self.folder)}, capture_output=True, text=True, check=False
        )

    def refusal(self, *arguments: str) -> str:
        """Run tools.dev_cluster, and return the one-line message with which it refuses."""
        done = self.run(*arguments)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        return line


@pytest.fixture
def programs(tmp_path: Path) -> StandIns:
    return StandIns(tmp_path)


@pytest.mark.parametrize("name", SCHEMAS)
def test_cluster_file_has_only_known_fields_and_pinned_versions(name: str) -> None:
    content = yaml.safe_load((dev_cluster.FOLDER / name).read_text())
    validator = jsonschema_rs.validator_for(SCHEMAS[name])
    validator.validate(content)
    assert not validator.is_valid({**content, "extraPortMapping": []})
    assert not validator.is_valid({**content, "image": "rancher/k3s:latest"})


def test_ingress_controller_is_valid_pinned_and_unprivileged() -> None:
    objects = {each["kind"]: each for each in kustomize.render(dev_cluster.FOLDER / "traefik")}
    assert len(objects) == 6
    for each in objects.values():
        kubernetes_validate.validate(each, "1.34", strict=True)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    jsonschema_rs.validate(PINNED, container["image"])
    assert {port["hostPort"] for port in container["ports"]} == {80, 443}
    assert pod["securityContext"]["runAsNonRoot"]
    assert objects["IngressClass"]["metadata"]["annotations"] == {"ingressclass.kubernetes.io/is-default-class": "true"}


def test_kind_cluster_gets_a_registry_and_an_ingress_controller(programs: StandIns) -> None:
    done = programs.run("create")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("The cluster is ready. Next: tilt up\n")
    folder, kubectl = dev_cluster.FOLDER, "kubectl --context=kind-thoughts"
    assert [line for line in programs.log.read_text().splitlines() if "inspect" not in line] == [
        "docker info",
        "kind get clusters",
        f"kind create cluster --config {folder}/kind.yaml",
        "docker run --detach --restart=always --publish=127.0.0.1:5001:5000 --name=thoughts-registry"
        f" {dev_cluster.REGISTRY_IMAGE}",
        "docker network connect kind thoughts-registry",
        "docker exec --interactive thoughts-control-plane sh -c mkdir -p /etc/containerd/certs.d/localhost:5001"
        " && cat > /etc/containerd/certs.d/localhost:5001/hosts.toml",
        f"{kubectl} apply --filename=-",
        f"{kubectl} apply --kustomize {folder}/traefik",
        f"{kubectl} --namespace=traefik rollout status deployment/traefik --timeout=300s",
    ]


def test_k3d_cluster_is_created_and_deleted_with_its_file(programs: StandIns) -> None:
    assert programs.run("create", "k3d").returncode == 0
    assert programs.run("delete", "k3d").returncode == 0
    file = f"--config {dev_cluster.FOLDER}/k3d.yaml"
    commands = [line for line in programs.log.read_text().splitlines() if line.startswith("k3d")]
    assert commands == ["k3d cluster get thoughts", f"k3d cluster create {file}", f"k3d cluster delete {file}"]


def test_cluster_down_deletes_cluster_and_registry(programs: StandIns) -> None:
    programs.add("docker", fails="")
    assert programs.run("delete").returncode == 0
    commands = programs.log.read_text().splitlines()
    assert "kind delete cluster --name=thoughts" in commands
    assert commands[-1] == "docker rm --force --volumes thoughts-registry"


@pytest.mark.parametrize("action", ["create", "delete"])
def test_missing_program_is_reported_in_one_line(programs: StandIns, action: str) -> None:
    programs.add("kind", version="kind v0.20.0 go1.20 linux/amd64")
    assert programs.refusal(action).startswith("kind 0.33 or newer is required; this is v0.20. Install it: https://")
    (programs.folder / "k3d").unlink()
    assert programs.refusal(action, "k3d").startswith("k3d 5.8 or newer is required. Install it: https://")
    programs.add("docker", fails="info")
    assert programs.refusal(action) == "Docker is not responding. Start it. `docker info` shows the error."
    assert "cluster" not in programs.log.read_text()


def test_missing_docker_is_one_line(programs: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs.folder))
    (programs.folder / "docker").unlink()
    with pytest.raises(dev_cluster.Refused, match=r"^Docker is missing\. Install it: https://"):
        dev_cluster.check("kind")


def test_tools_use_the_registry_that_the_cluster_advertises() -> None:
    class OneAnswer(Kubectl):
        def json(self, *arguments: str) -> Any:
            assert arguments == cluster.HOSTING
            return dev_cluster.hosting()

    assert cluster.registry(OneAnswer()) == "localhost:5001"
