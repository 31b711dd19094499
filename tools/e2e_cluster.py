"""`make e2e-cluster`: brings the local overlay up on a local cluster and tests the whole of it through the ingress.

It takes the cluster that kubectl's current context names. Where none answers and ../shared/cluster/up is there, it
starts that one, and stops it at the end. With Tilt on the PATH the overlay comes up by `tilt ci`, else by building,
pushing and applying. What it deployed into a cluster that had none of it is deleted at the end.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tools import chromium, cluster
from tools.cluster import ClusterError
from tools.kubectl import Kubectl, KubectlError
from tools.local import ROOT

TEST_CLUSTER = ROOT.parent / "shared" / "cluster"
URLS = {
    "THOUGHTS_URL": "http://thoughts.localhost",
    "USERS_URL": "http://users.localhost",
    "WEB_URL": "http://frontend.localhost",
}
# These start a system of their own, or need none.
WITHOUT_CLUSTER = ("alone", "manifests", "readme", "rotation", "run", "schemathesis", "start", "tiltfile")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long something took."""
    begin = time.monotonic()
    yield
    print(f"ok   {name:<40} {time.monotonic() - begin:5.0f} s", flush=True)


def run(*command: str, **env: str) -> None:
    """Run a command in the foreground; end with its exit code if it is not 0."""
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode
    if code:
        raise ClusterError(f"{' '.join(command[:4])} … exited with {code}.")


def answers() -> bool:
    """Return whether a cluster answers."""
    try:
        Kubectl()("get", "--raw=/readyz", "--request-timeout=5s")
    except (KubectlError, subprocess.TimeoutExpired):
        return False
    return True


@contextmanager
def running_cluster() -> Iterator[None]:
    """Find a cluster, or start the test cluster and stop it at the end."""
    state = Path(os.environ.get("CLUSTER_STATE", "/var/lib/testcluster"))
    if not answers() and (TEST_CLUSTER / "up").exists():
        os.environ["KUBECONFIG"] = str(state / "kubeconfig")
        os.environ["PATH"] += f"{os.pathsep}{state / 'bin'}"
    if answers():
        yield
        return
    if not (TEST_CLUSTER / "up").exists():
        raise ClusterError("No cluster answers: start one (kind, k3d, minikube, Docker Desktop) and try again.")
    with step("start the test cluster"):
        run(str(TEST_CLUSTER / "up"))
    try:
        yield
    finally:
        run(str(TEST_CLUSTER / "down"))


@contextmanager
def namespace(kubectl: Kubectl) -> Iterator[None]:
    """Delete the namespace at the end, unless it was there before; in CI it starts anew."""
    there = bool(kubectl("get", "namespace", "example", "--ignore-not-found"))
    if there and os.environ.get("CI"):
        kubectl("delete", "namespace", "example")
        there = False
    try:
        yield
    except (ClusterError, KubectlError):
        show_state(kubectl)
        raise
    finally:
        if not there:
            kubectl("delete", "namespace", "example", "--ignore-not-found")


def show_state(kubectl: Kubectl) -> None:
    """Print what a person would look at after a failure."""
    for arguments in (
        ("get", "pods,jobs,ingress", "--output=wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        *(("logs", f"deployment/{name}", "--tail=20") for name in cluster.IMAGES),
    ):
        try:
            print("\n".join(kubectl(*arguments).splitlines()[-40:]))
        except KubectlError as error:
            print(error)


def main() -> int:
    """Bring it up, test it, and put things back."""
    with ExitStack() as stack:
        browser = chromium.find_or_install()
        stack.enter_context(running_cluster())
        kubectl = Kubectl()
        registry = cluster.registry(kubectl)
        stack.enter_context(namespace(kubectl))
        cluster.secrets(kubectl)
        tag = f"e2e-{time.time():.0f}"
        if shutil.which("tilt"):
            with step("tilt ci"):
                run("tilt", "ci")
        with step("build and push"):
            cluster.push(registry, tag)
        if not shutil.which("tilt"):
            with step("apply, until all serve"):
                cluster.apply(kubectl, registry, dict.fromkeys(cluster.IMAGES, tag))
                cluster.wait(kubectl)
        run(
            *(
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "-p",
                "tools.localhost",
                "-c",
                "e2e/pytest.ini",
            ),
            *(f"--ignore=e2e/test_{name}.py" for name in WITHOUT_CLUSTER),
            *("e2e", "k8s/tests"),
            **URLS,
            CHROMIUM=browser,
            REGISTRY=registry,
            TAG=tag,
        )
        run(sys.executable, "-m", "bench.rollout")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, KubectlError) as error:
        sys.exit(str(error))
