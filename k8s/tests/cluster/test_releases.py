"""Test of an upgrade, a failed migration and a rollback, all with `kubectl apply`.

The upgrade starts from the current images and ends with a synthetic release, which the test derives from them. The test
does not run the previous release. `tools/upgrade.py` checks the step from the previous release to the current code.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from k8s.tests.cluster.conftest import manage
from tools import cluster, rollout
from tools.cluster import unlimited
from tools.kubectl import Kubectl
from tools.local import ROOT

# These lines of a Dockerfile turn the image of thoughts_api into that of a synthetic release, which has a new field.
MOOD = """USER 0
RUN printf '%s\\n' \\
    'from django.db import migrations, models' \\
    'class Migration(migrations.Migration):' \\
    '    dependencies = [("thoughts_api", "NEWEST")]' \\
    '    operations = [migrations.AddField("Thought", "mood", models.CharField(max_length=9, db_default=""))]' \\
    > thoughts_api/migrations/9999_mood.py \\
    && sed -i 's/^    class Meta:/    mood = models.CharField(max_length=9, db_default="")\\n\\n&/' \\
    thoughts_api/models.py
USER 10001:10001
""".replace("NEWEST", max(file.stem for file in (ROOT / "thoughts_api" / "migrations").glob("0*.py")))
FORGET = "DELETE FROM django_migrations WHERE name = '9999_mood'"


def pods(kubectl: Kubectl, service: str) -> dict[str, bool]:
    """Return the names of a service's pods, and whether each pod is ready.

    Ignore terminating pods.
    """
    selector = f"--selector=app.kubernetes.io/name={service},app.kubernetes.io/component=server"
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["ready"]
        for pod in kubectl.json("get", "pods", selector)["items"]
        if "deletionTimestamp" not in pod["metadata"] and "containerStatuses" in pod["status"]
    }


@contextmanager
def load() -> Iterator[rollout.Phase]:
    """Send requests to all services in the background, and yield the results.

    Delete the written data at the end.
    """
    sender = rollout.Load(users=12)
    sender.phase = rollout.Phase("release")
    with sender.running():
        yield sender.phase
    rollout.tidy()


@pytest.fixture
def database(kubectl: Kubectl) -> Iterator[Callable[[str], str]]:
    """Return a function that runs SQL in the database of thoughts_api.

    Undo the test's migration afterwards.
    """

    def query(sql: str) -> str:
        psql = 'psql --quiet --no-align --tuples-only -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "$0"'
        return kubectl("exec", "thoughts-postgres-0", "--", "sh", "-c", psql, sql)

    yield query
    query(f"ALTER TABLE thoughts_api_thought DROP COLUMN IF EXISTS mood; {FORGET}")


def test_no_request_fails_during_an_upgrade_a_failed_migration_or_a_rollback(
    kubectl: Kubectl, registry: str, tag: str, database: Callable[[str], str]
) -> None:
    current, following, bad = (dict.fromkeys(cluster.IMAGES, f"{tag}{suffix}") for suffix in ("", "-next", "-bad"))
    for name, version in following.items():
        change = MOOD if name == "thoughts-api" else ""
        cluster.derive(f"{registry}/{name}:{version}", f"FROM {registry}/{name}:{tag}\nENV VERSION={version}\n{change}")
    broken = (
        "USER 0\nRUN echo 'from missing import nothing' > thoughts_api/migrations/9999_z_broken.py\nUSER 10001:10001\n"
    )
    cluster.derive(f"{registry}/thoughts-api:{tag}-bad", f"FROM {registry}/thoughts-api:{tag}-next\n{broken}")

    with unlimited(kubectl), load() as results:
        # The synthetic release adds a NOT NULL column. Old pods insert rows until the rollout is complete.
        cluster.apply(kubectl, registry, following)
        cluster.wait(kubectl)
        for name in ("users-api", "thoughts-api"):
            kubectl("wait", f"job/{name}-migrate-{tag}-next", "--for=condition=Complete", "--timeout=60s")
        for name in cluster.IMAGES:
            assert f"{tag}-next" in manage(kubectl, name, "healthz")
        assert database("SELECT DISTINCT mood IS NULL FROM thoughts_api_thought").strip() == "f"

        # Then apply another release, whose migration fails.
        serving = pods(kubectl, "thoughts-api")
        cluster.apply(kubectl, registry, following | {"thoughts-api": bad["thoughts-api"]})
        pod = failed_job_pod(kubectl, f"{tag}-bad")
        kubectl("wait", f"pod/{pod}", "--for=jsonpath={.status.phase}=Failed", "--timeout=120s")
        time.sleep(10)
        now = pods(kubectl, "thoughts-api")
        assert serving.items() <= now.items()
        assert not any(ready for name, ready in now.items() if name not in serving)

        # To roll back, apply the current images. Their pods insert rows into the table that has the new column.
        cluster.apply(kubectl, registry, current)
        cluster.wait(kubectl)
        for name in cluster.IMAGES:
            assert f"{tag}-next" not in manage(kubectl, name, "healthz")
        time.sleep(5)
    assert not results.failures
    assert len(results.seconds) == results.sent > 1000
    kubectl("delete", f"job/thoughts-api-migrate-{tag}-bad")


def failed_job_pod(kubectl: Kubectl, tag: str) -> str:
    """Wait for a pod of the migration Job of thoughts_api, and return its name."""
    selector = f"--selector=batch.kubernetes.io/job-name=thoughts-api-migrate-{tag}"
    deadline = time.monotonic() + 60
    while not (found := kubectl.json("get", "pods", selector)["items"]) and time.monotonic() < deadline:
        time.sleep(0.5)
    return str(found[0]["metadata"]["name"])
