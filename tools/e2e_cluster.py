"""`make e2e-cluster`: deploy the local overlay to a local cluster, and test it through the ingress.

The cluster is that of kubectl's current context. If it cannot be reached, and the script ../shared/cluster/up exists,
this script starts a test cluster, and ../shared/cluster/down stops it at the end. If Tilt is on the PATH, `tilt ci`
deploys the overlay. At the end, the namespace is deleted, unless it existed before.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.chaos import unlimited
from tools import chromium, cluster, e2e
from tools.kubectl import NAMESPACE, Kubectl, KubectlError
from tools.local import ROOT

TEST_CLUSTER = ROOT.parent / "shared" / "cluster"
URLS = {"thoughts": "http://thoughts.localhost", "users": "http://users.localhost", "web": "http://frontend.localhost"}


def answers() -> bool:
    """Return whether the cluster is reachable."""
    try:
        Kubectl()("get", "--raw=/readyz", "--request-timeout=5s")
    except (KubectlError, subprocess.TimeoutExpired):
        return False
    return True


@contextmanager
def running_cluster() -> Iterator[None]:
    """Use the current cluster. If it is unreachable, start the test cluster, and stop it at the end."""
    state = Path(os.environ.get("CLUSTER_STATE", "/var/lib/testcluster"))
    if not answers() and (TEST_CLUSTER / "up").exists():
        os.environ["KUBECONFIG"] = str(state / "kubeconfig")
        os.environ["PATH"] += f"{os.pathsep}{state / 'bin'}"
    if answers():
        yield
        return
    if not (TEST_CLUSTER / "up").exists():
        raise e2e.Failed("No cluster is reachable. Start one (kind, k3d, minikube, Docker Desktop) and try again.")
    with e2e.step("start the test cluster"):
        e2e.run(str(TEST_CLUSTER / "up"))
    try:
        yield
    finally:
        e2e.run(str(TEST_CLUSTER / "down"))


@contextmanager
def namespace(kubectl: Kubectl) -> Iterator[None]:
    """Run the block, then delete the namespace, unless it existed before.

    In CI, also delete the namespace first, so that it never exists before.
    """
    existed = bool(kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"))
    if existed and os.environ.get("CI"):
        kubectl("delete", "namespace", NAMESPACE)
        existed = False
    try:
        yield
    except (e2e.Failed, KubectlError):
        show_state(kubectl)
        raise
    finally:
        if not existed:
            kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def show_state(kubectl: Kubectl) -> None:
    """Print the state of the namespace for debugging."""
    for arguments in (
        ("get", "pods,jobs,ingress", "--output=wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        *(("logs", f"deployment/{name}", "--tail=20") for name in cluster.IMAGES),
    ):
        try:
            print("\n".join(kubectl(*arguments).splitlines()[-40:]))
        except KubectlError as error:
            print(error)


def main() -> None:
    """Deploy, test and clean up."""
    with ExitStack() as stack:
        chromium.find_or_install()
        stack.enter_context(running_cluster())
        kubectl = Kubectl()
        registry = cluster.registry(kubectl)
        stack.enter_context(namespace(kubectl))
        cluster.secrets(kubectl)
        tag = f"e2e-{time.time():.0f}"
        if shutil.which("tilt"):
            with e2e.step("tilt ci"):
                e2e.run("tilt", "ci", "--", "--image", "production")  # the production images, as without Tilt
        with e2e.step("build and push"):
            cluster.push(registry, tag)
        if not shutil.which("tilt"):
            with e2e.step("apply and wait"):
                cluster.apply(kubectl, registry, dict.fromkeys(cluster.IMAGES, tag))
                cluster.wait(kubectl)
        stack.enter_context(unlimited(kubectl))
        e2e.run(sys.executable, "-m", "bench.rollout")
        e2e.test("k8s/tests/cluster", **URLS, REGISTRY=registry, TAG=tag)


if __name__ == "__main__":
    try:
        main()
    except (e2e.Failed, KubectlError) as error:
        sys.exit(str(error))
