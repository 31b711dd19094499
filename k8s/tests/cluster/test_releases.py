"""Test of a release whose migration fails, applied with `kubectl apply`."""

import time

import requests

from k8s.tests.cluster.conftest import manage
from tools import cluster
from tools.kubectl import Kubectl

SEARCH = "http://thoughts.localhost/api/thoughts/?search=tea"


def pods(kubectl: Kubectl, service: str) -> dict[str, bool]:
    """Return the names of a service's pods, and whether each pod is ready.

    Leave out terminating pods.
    """
    selector = f"--selector=app.kubernetes.io/name={service},app.kubernetes.io/component=server"
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["ready"]
        for pod in kubectl.json("get", "pods", selector)["items"]
        if "deletionTimestamp" not in pod["metadata"] and "containerStatuses" in pod["status"]
    }


def test_failed_migration_keeps_the_previous_release_serving(kubectl: Kubectl, registry: str, tag: str) -> None:
    good = f"{tag}-next"
    for name in cluster.IMAGES:
        cluster.derive(f"{registry}/{name}:{good}", f"FROM {registry}/{name}:{tag}\nENV VERSION={good}\n")
    cluster.apply(kubectl, registry, dict.fromkeys(cluster.IMAGES, good))
    cluster.wait(kubectl)
    for name in ("users-api", "thoughts-api"):
        kubectl("wait", f"job/{name}-migrate-{good}", "--for=condition=Complete", "--timeout=60s")
    for name in cluster.IMAGES:
        assert good in manage(kubectl, name, "healthz")

    # Apply a release whose migration fails. The pods of the good release must keep serving.
    serving = pods(kubectl, "thoughts-api")
    bad = f"{tag}-bad"
    migration = "from missing import nothing"
    cluster.derive(
        f"{registry}/thoughts-api:{bad}",
        f"FROM {registry}/thoughts-api:{tag}\nUSER 0\n"
        f"RUN echo '{migration}' > thoughts_api/migrations/9999_broken.py\nUSER 10001:10001\n",
    )
    tags = dict.fromkeys(cluster.IMAGES, good) | {"thoughts-api": bad}
    cluster.apply(kubectl, registry, tags)
    kubectl("wait", f"pod/{failed_job_pod(kubectl, bad)}", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    for _ in range(20):
        assert requests.get(SEARCH, timeout=10).status_code == 200
        time.sleep(0.5)
    now = pods(kubectl, "thoughts-api")
    assert serving.items() <= now.items()
    assert not any(ready for name, ready in now.items() if name not in serving)

    # Roll back: apply the good release again.
    cluster.apply(kubectl, registry, dict.fromkeys(cluster.IMAGES, good))
    cluster.wait(kubectl)
    kubectl("delete", f"job/thoughts-api-migrate-{bad}")


def failed_job_pod(kubectl: Kubectl, tag: str) -> str:
    """Wait for a pod of the migration Job of thoughts_api, and return its name."""
    selector = f"--selector=batch.kubernetes.io/job-name=thoughts-api-migrate-{tag}"
    deadline = time.monotonic() + 60
    while not (found := kubectl.json("get", "pods", selector)["items"]) and time.monotonic() < deadline:
        time.sleep(0.5)
    return str(found[0]["metadata"]["name"])
