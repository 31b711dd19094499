"""Deploy and test the local overlay in a local cluster: `make e2e-cluster`.

The tests send their requests through the ingress. The cluster is the one in kubectl's current context. Set KUBECONFIG
to use another one. If Tilt is on the PATH, `tilt ci` deploys the overlay. At the end, the script deletes the namespace,
unless it existed before.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tools import chromium, cluster, e2e
from tools.cluster import unlimited
from tools.kubectl import NAMESPACE, Kubectl, KubectlError

URLS = {"thoughts": "http://thoughts.localhost", "users": "http://users.localhost", "web": "http://frontend.localhost"}


def check_cluster(kubectl: Kubectl) -> None:
    """Raise `Failed` if the cluster is unreachable."""
    try:
        kubectl("get", "--raw=/readyz", "--request-timeout=5s")
    except (KubectlError, subprocess.TimeoutExpired):
        raise e2e.Failed("No cluster is reachable. Start one with `make cluster`, or set KUBECONFIG.") from None


@contextmanager
def namespace(kubectl: Kubectl) -> Iterator[None]:
    """Run the block, then delete the namespace, unless it existed before.

    In CI, also delete the namespace before the block, so that the block always starts without it.
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
        kubectl = Kubectl()
        check_cluster(kubectl)
        registry = cluster.registry(kubectl)
        stack.enter_context(namespace(kubectl))
        cluster.secrets(kubectl)
        tag = f"e2e-{time.time():.0f}"
        if shutil.which("tilt"):
            with e2e.step("tilt ci"):
                e2e.run("tilt", "ci", "--", "--image", "production")  # test the production images
        with e2e.step("build and push"):
            cluster.push(registry, tag)
        if not shutil.which("tilt"):
            with e2e.step("apply and wait"):
                cluster.apply(kubectl, registry, dict.fromkeys(cluster.IMAGES, tag))
                cluster.wait(kubectl)
        stack.enter_context(unlimited(kubectl))
        e2e.run(sys.executable, "-m", "tools.rollout")
        e2e.test("k8s/tests/cluster", **URLS, REGISTRY=registry, TAG=tag)


if __name__ == "__main__":
    try:
        main()
    except (e2e.Failed, KubectlError) as error:
        sys.exit(str(error))
