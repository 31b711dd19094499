"""Create or delete a local cluster: `make cluster` and `make cluster-down`.

kind or k3d creates the cluster, and `tilt up` deploys the system to it. The cluster has a registry at 127.0.0.1:5001,
and an ingress controller on ports 80 and 443 of 127.0.0.1. k8s/cluster/ pins the versions.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "k8s" / "cluster"
NAME = "thoughts"
NODE = f"{NAME}-control-plane"
REGISTRY = f"{NAME}-registry"
REGISTRY_IMAGE = "registry:2.8.3"
REGISTRY_PORT = 5001
# The oldest versions that can read the files in k8s/cluster, and where to get newer ones.
TOOLS = {
    "kind": ((0, 33), "https://kind.sigs.k8s.io/docs/user/quick-start/#installation"),
    "k3d": ((5, 8), "https://k3d.io/stable/#installation"),
}


class Refused(Exception):
    """The command is refused.

    The message states the reason and the remedy in one line.
    """


def run(*command: str, given: str | None = None) -> None:
    """Run a command.

    Raise `Refused` if it fails. The command prints its own messages to the terminal.
    """
    if subprocess.run(command, input=given, text=True, cwd=ROOT, check=False).returncode:
        raise Refused(f"{' '.join(command[:4])} … failed.")


def output(*command: str) -> str | None:
    """Return the output of a command, or None if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def check(tool: str) -> None:
    """Raise `Refused` if a program is missing or too old, or does not work."""
    if not shutil.which("docker"):
        raise Refused("Docker is missing. Install it: https://docs.docker.com/get-started/get-docker/")
    if output("docker", "info") is None:
        raise Refused("Docker is not responding. Start it. `docker info` shows the error.")
    least, address = TOOLS[tool]
    wanted = f"{tool} {'.'.join(map(str, least))} or newer is required"
    if not shutil.which(tool):
        raise Refused(f"{wanted}. Install it: {address}")
    found = re.search(r"v(\d+)\.(\d+)", output(tool, "version") or "")
    if not found or (int(found[1]), int(found[2])) < least:
        raise Refused(f"{wanted}; this is {found[0] if found else 'unknown'}. Install it: {address}")
    if tool == "kind" and not shutil.which("kubectl"):
        raise Refused("kubectl is missing. Install it: https://kubernetes.io/docs/tasks/tools/")


def create(tool: str) -> None:
    """Create the cluster, unless it exists. Raise `Refused` if that fails."""
    check(tool)
    if tool == "k3d":
        if output("k3d", "cluster", "get", NAME) is None:
            run("k3d", "cluster", "create", "--config", str(FOLDER / "k3d.yaml"))
        return
    if NAME not in (output("kind", "get", "clusters") or "").split():
        run("kind", "create", "cluster", "--config", str(FOLDER / "kind.yaml"))
    start_registry()
    kubectl = ("kubectl", f"--context=kind-{NAME}")
    run(*kubectl, "apply", "--filename=-", given=json.dumps(hosting()))
    run(*kubectl, "apply", "--kustomize", str(FOLDER / "traefik"))
    run(*kubectl, "--namespace=traefik", "rollout", "status", "deployment/traefik", "--timeout=300s")


def start_registry() -> None:
    """Start the registry, and tell the node the address of the registry.

    See https://kind.sigs.k8s.io/docs/user/local-registry/.
    """
    if output("docker", "container", "inspect", REGISTRY) is None:
        publish = f"--publish=127.0.0.1:{REGISTRY_PORT}:5000"
        run("docker", "run", "--detach", "--restart=always", publish, f"--name={REGISTRY}", REGISTRY_IMAGE)
    output("docker", "network", "connect", "kind", REGISTRY)  # fails if the registry is already connected
    folder = f"/etc/containerd/certs.d/localhost:{REGISTRY_PORT}"
    hosts = f'[host."http://{REGISTRY}:5000"]\n'
    run(
        "docker",
        "exec",
        "--interactive",
        NODE,
        "sh",
        "-c",
        f"mkdir -p {folder} && cat > {folder}/hosts.toml",
        given=hosts,
    )


def hosting() -> dict[str, object]:
    """Return the ConfigMap that names the registry (KEP-1755).

    Tilt and `tools/cluster.py` read it.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-registry-hosting", "namespace": "kube-public"},
        "data": {"localRegistryHosting.v1": f'host: "localhost:{REGISTRY_PORT}"\n'},
    }


def delete(tool: str) -> None:
    """Delete the cluster and its registry, with all data.

    Raise `Refused` if that fails.
    """
    check(tool)
    if tool == "k3d":
        run("k3d", "cluster", "delete", "--config", str(FOLDER / "k3d.yaml"))
        return
    run("kind", "delete", "cluster", f"--name={NAME}")
    if output("docker", "container", "inspect", REGISTRY) is not None:
        run("docker", "rm", "--force", "--volumes", REGISTRY)


def main() -> None:
    """Create or delete the cluster, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tools.dev_cluster", description=__doc__)
    parser.add_argument("action", choices=["create", "delete"])
    parser.add_argument("tool", choices=[*TOOLS], nargs="?", default="kind")
    arguments = parser.parse_args()
    try:
        if arguments.action == "create":
            create(arguments.tool)
            print("The cluster is ready. Next: tilt up")
        else:
            delete(arguments.tool)
    except Refused as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
