"""Deploy a release to a local cluster without Tilt.

This module builds the images, pushes them, and applies the manifests.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import yaml

from tools import cluster_secrets
from tools.e2e import Failed
from tools.kubectl import Kubectl, KubectlError
from tools.local import ROOT
from tools.projects import SERVICES

IMAGES = {service: project.package for service, project in SERVICES.items()}
# Use a tag, not a digest, because a local cluster may have an image `postgres` with a different digest.
POSTGRES = '  - name: postgres\n    newTag: "17"\n'
UNLIMITED = {"WRITES_PER_MINUTE": "1000000", "WRITES_PER_DAY": "1000000"}
HOSTING = ("--namespace=kube-public", "get", "configmap", "local-registry-hosting")


def registry(kubectl: Kubectl) -> str:
    """Return the address of the registry from which the local cluster pulls images.

    A local cluster publishes this address in a ConfigMap (KEP-1755). Raise `Failed` if it does not.
    """
    try:
        hosting: str = kubectl.json(*HOSTING)["data"]["localRegistryHosting.v1"]
    except (KubectlError, KeyError):
        raise Failed("This is not a local cluster, because no ConfigMap names its registry (KEP-1755).") from None
    return str(yaml.safe_load(hosting)["host"])


def docker() -> str:
    """Return the path of the first `docker` on the PATH that can build images.

    An installed `docker` may be unable to build images, because Docker 23 and later need the buildx plug-in for that.
    """
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if program and _build(program, "-", given="FROM scratch\nLABEL empty=true\n").returncode == 0:
            return program
    raise Failed("No docker on the PATH can build images. Check that the Docker Engine is running.")


def push(registry: str, tag: str, target: str = "production") -> None:
    """Build the image of each project and push it."""
    program = docker()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    options = (
        f"--target={target}",
        f"--build-arg=VERSION={tag}",
        f"--build-arg=COMMIT={commit.stdout.strip() or 'unknown'}",
    )

    def build_and_push(name: str) -> None:
        image = f"{registry}/{name}:{tag}"
        build(program, image, IMAGES[name], *options)
        push_image(program, image)

    with ThreadPoolExecutor() as pool:
        list(pool.map(build_and_push, IMAGES))


def build(program: str, image: str, project: str, *options: str, tree: Path = ROOT) -> None:
    """Build the image of a project, from this repository or from a copy of it.

    Raise `Failed` if that fails.
    """
    done = _build(program, f"--build-arg=PROJECT={project}", f"--tag={image}", *options, str(tree))
    if done.returncode:
        raise Failed(f"{image} could not be built.\n{done.stdout}{done.stderr}")


def derive(image: str, instructions: str) -> None:
    """Build an image from the text of a Dockerfile, and push it."""
    program = docker()
    done = _build(program, f"--tag={image}", "-", given=instructions)
    if done.returncode:
        raise Failed(done.stderr)
    push_image(program, image)


def push_image(program: str, image: str) -> None:
    """Push an image to its registry. Raise `Failed` if that fails."""
    done = subprocess.run([program, "push", "--quiet", image], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{image} could not be pushed: {done.stderr.strip()}")


def _build(program: str, *arguments: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program, "build", "--quiet", *arguments],
        input=given,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def apply(kubectl: Kubectl, registry: str, tags: dict[str, str], overlay: str = "local") -> str:
    """Apply an overlay with these image tags and this registry.

    Return the output of kubectl.
    """
    with tempfile.TemporaryDirectory() as folder:
        manifests = configured(Path(folder), registry, tags, overlay)
        return kubectl("apply", "--kustomize", str(manifests / "overlays" / overlay))


def configured(folder: Path, registry: str, tags: dict[str, str], overlay: str) -> Path:
    """Copy k8s/ to `folder`, and set the image tags and the registry in the copy.

    Return the path of the copy.
    """
    copy = Path(shutil.copytree(ROOT / "k8s", folder / "k8s"))
    release = copy / "components" / "release" / "kustomization.yaml"
    lines = release.read_text().splitlines()
    for number, line in enumerate(lines):
        name = line.removeprefix("  - name: ")
        if name in tags:
            lines[number + 1] = f"    newTag: {tags[name]}"
    release.write_text("\n".join(lines))
    images = "".join(f"  - name: {name}\n    newName: {registry}/{name}\n" for name in IMAGES)
    kustomization = copy / "overlays" / overlay / "kustomization.yaml"
    kept = re.sub(r"(?m)^images:\n(?:[ #].*\n)*", "", kustomization.read_text())
    kustomization.write_text(f"{kept}images:\n{images}{POSTGRES}")
    return copy


def secrets(kubectl: Kubectl) -> None:
    """Create the namespace and the Secrets. The manifests contain no Secrets."""
    kubectl("apply", "--filename", str(ROOT / "k8s" / "base" / "namespace.yaml"))
    kubectl("apply", "--filename=-", given=cluster_secrets.as_json())


def wait(kubectl: Kubectl, timeout: int = 240) -> None:
    """Wait until the rollout of every Deployment is complete.

    Wait up to `timeout` seconds for each Deployment.
    """
    for name in IMAGES:
        kubectl("rollout", "status", f"deployment/{name}", f"--timeout={timeout}s")


@contextmanager
def unlimited(kubectl: Kubectl) -> Iterator[None]:
    """Let users write without limits while the block runs.

    Afterwards, delete the counts of these writes. Otherwise, the API could refuse these users' writes for up to a day.
    If the limits are already disabled, change nothing.
    """
    names = "--output=jsonpath={.spec.template.spec.containers[0].env[*].name}"
    if "WRITES_PER_MINUTE" in kubectl("get", "deployment", "thoughts-api", names):
        yield
        return
    _set_environment(kubectl, *(f"{name}={value}" for name, value in UNLIMITED.items()))
    try:
        yield
    finally:
        _set_environment(kubectl, *(f"{name}-" for name in UNLIMITED))
        forget = 'psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "DELETE FROM thoughts_api_writecount"'
        kubectl("exec", "thoughts-postgres-0", "--", "sh", "-c", forget)


def _set_environment(kubectl: Kubectl, *variables: str) -> None:
    """Change variables of thoughts_api, and wait until all old pods have terminated."""
    kubectl("set", "env", "deployment/thoughts-api", *variables)
    kubectl("rollout", "status", "deployment/thoughts-api", "--timeout=120s")
    selector = "--selector=app.kubernetes.io/name=thoughts-api,app.kubernetes.io/component=server"
    deadline = time.monotonic() + 120
    while any("deletionTimestamp" in pod["metadata"] for pod in kubectl.json("get", "pods", selector)["items"]):
        if time.monotonic() > deadline:
            raise SystemExit("A pod of thoughts-api is still terminating after two minutes.")
        time.sleep(0.5)
