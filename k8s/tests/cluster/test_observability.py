"""Tests of Prometheus on the cluster.

The tests check that Prometheus scrapes every pod, that the panels show data, and that an outage triggers only the
right alerts.

The tests deploy the overlay of `tilt up -- --observability` without Grafana and Jaeger. Prometheus comes from Debian,
because the cluster in CI cannot pull images from the internet. It scrapes every second instead of every 15 seconds, and
the `for` durations of the alerts are also 15 times shorter.
"""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from k8s.tests.cluster.conftest import wait_for_status
from k8s.tests.manifests.objects import Object, name_of
from tools import cluster, kustomize, rollout
from tools.cluster import unlimited
from tools.dashboards import FOLDER
from tools.kubectl import Kubectl
from tools.projects import WITH_DATABASE
from tools.system import within

OVERLAY = "local-observability"
URL = "http://prometheus.localhost"
IMAGE = """FROM python:3.13-slim-trixie
RUN apt-get update -qq && apt-get install -qq --no-install-recommends prometheus
ENTRYPOINT ["prometheus"]
"""
TIMEOUT = 120  # seconds
PAUSE = 0.1  # seconds between two requests
SHORTER = 15  # divide all of Prometheus's intervals by this number
# This panel shows data only while an alert fires. The test of the outage checks it.
IN_AN_OUTAGE = {"Alerts"}
# This panel shows no data in the local overlay, because it has no read replica.
WITHOUT_DATA = {"Read replica"}
DATABASES = [f"statefulset/{project.postgres}" for project in WITH_DATABASE]
BUDGETS = ("ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly")
Query = Callable[[str], list[dict[str, Any]]]
Result = TypeVar("Result")


def shorten(manifests: Path) -> None:
    """Shorten Prometheus's intervals and the alerts' `for` times in a copy of k8s/."""
    config = manifests / "components" / "local-observability" / "prometheus" / "prometheus.yaml"
    config.write_text(config.read_text().replace("15s", f"{15 // SHORTER}s"))
    alerts = manifests / "components" / "observability" / "alerts.yaml"

    def shorter(found: re.Match[str]) -> str:
        return f"for: {int(found[1]) * {'m': 60, 'h': 3600}[found[2]] // SHORTER}s"

    text, count = re.subn(r"\bfor: (\d+)([mh])\b", shorter, alerts.read_text())
    assert count
    alerts.write_text(text)


def as_list(objects: list[Object]) -> str:
    """Return a JSON List for kubectl."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def settle() -> None:
    """Wait until all pods are ready, and the services answer through the ingress."""
    services = rollout.Services()
    for name in cluster.IMAGES:
        services.settle(name)
    for url in ("http://thoughts.localhost/api/thoughts/", "http://frontend.localhost/search?search=tea"):
        wait_for_status(url)
    wait_for_status("http://users.localhost/.well-known/jwks.json")


@contextmanager
def traffic() -> Iterator[None]:
    """Send all kinds of requests while the block runs, and ignore failures.

    The requests are sent one after another, so they cannot use up the threads of a service.
    """
    user, stopped = rollout.User(), threading.Event()
    for _ in range(2):  # only two, because too many failed logins would block the logins of later tests
        user.http.post("http://users.localhost/api/login/", {"username": "unknown", "password": "wrong"}, timeout=10)

    def send() -> None:
        for act in itertools.cycle(rollout.ACTS):
            with suppress(requests.RequestException, rollout.WrongAnswer):
                act(user)
            if stopped.wait(PAUSE):
                return

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stopped.set()
        sender.join()


@pytest.fixture(scope="module")
def query(kubectl: Kubectl, registry: str, tag: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """Deploy Prometheus, and yield a function that runs a query.

    While the tests run, send requests to all services. Finally, restore the local overlay.
    """
    cluster.derive(f"{registry}/prometheus:{tag}", IMAGE)
    tags = dict.fromkeys(cluster.IMAGES, tag)
    manifests = cluster.configured(tmp_path_factory.mktemp("observability"), registry, tags, OVERLAY)
    overlay = manifests / "overlays" / OVERLAY / "kustomization.yaml"
    image = f"  - name: prom/prometheus\n    newName: {registry}/prometheus\n    newTag: {tag}\n"
    overlay.write_text(overlay.read_text() + image)
    shorten(manifests)
    # Without Jaeger, the services cannot send their traces. This does not affect the metrics.
    objects = [each for each in kustomize.render(overlay.parent) if name_of(each) not in ("grafana", "jaeger")]
    local = {(each["kind"], name_of(each)) for each in kustomize.render(manifests / "overlays" / "local")}
    added = [each for each in objects if (each["kind"], name_of(each)) not in local]
    with unlimited(kubectl):
        try:
            kubectl("apply", "--filename=-", given=as_list(objects))
            kubectl("rollout", "status", "deployment/prometheus", "--timeout=120s")
            settle()
            wait_for_status(f"{URL}/-/ready")
            with traffic():
                yield lambda text: requests.get(f"{URL}/api/v1/query", {"query": text}, timeout=10).json()["data"][
                    "result"
                ]
        finally:
            kubectl("scale", *DATABASES, "deployment/thoughts-api", "--replicas=1")
            for database in DATABASES:
                kubectl("rollout", "status", database, "--timeout=120s")
            cluster.apply(kubectl, registry, tags)
            kubectl("delete", "--filename=-", "--ignore-not-found", given=as_list(added))
            settle()
            rollout.tidy()


def panels() -> list[dict[str, Any]]:
    """Return the panels of all dashboards."""
    return [panel for file in sorted(FOLDER.glob("*.json")) for panel in json.loads(file.read_text())["panels"]]


def without_data(query: Query, shown: Callable[[str], bool]) -> list[str]:
    """Return all queries without a result in the panels whose title `shown` accepts."""
    expressions = [target["expr"] for panel in panels() if shown(panel["title"]) for target in panel["targets"]]
    assert expressions
    return [each for each in expressions if not query(each)]


def eventually(get: Callable[[], Result], expected: Result) -> Result:
    """Call `get` until it returns `expected`, for at most `TIMEOUT` seconds.

    Return the last result.
    """
    results = []

    def matches() -> bool:
        results.append(get())
        return results[-1] == expected

    within(TIMEOUT, matches)
    return results[-1]


def firing(query: Query) -> set[tuple[str, str]]:
    """Return the names of the firing alerts, each with the service in its label `job`."""
    return {
        (each["metric"]["alertname"], each["metric"].get("job", "")) for each in query('ALERTS{alertstate="firing"}')
    }


def test_prometheus_scrapes_every_pod_and_nothing_else(query: Query) -> None:
    services = rollout.Services()
    expected = sorted((name, pod, "1") for name in cluster.IMAGES for pod in services.pods(name))

    def scraped() -> list[tuple[str, str, str]]:
        return sorted((each["metric"]["job"], each["metric"]["pod"], each["value"][1]) for each in query("up"))

    assert eventually(scraped, expected) == expected


def test_every_panel_shows_data(query: Query) -> None:
    def missing() -> list[str]:
        return without_data(query, lambda title: title not in IN_AN_OUTAGE | WITHOUT_DATA)

    assert eventually(missing, []) == []
    assert {panel["title"] for panel in panels()} >= IN_AN_OUTAGE | WITHOUT_DATA


def test_exemplars_contain_trace_ids(query: Query) -> None:
    def exemplars() -> list[dict[str, Any]]:
        # Without the parameter `end`, Prometheus searches up to now.
        parameters = {"query": "http_request_duration_seconds_bucket", "start": "0"}
        found = requests.get(f"{URL}/api/v1/query_exemplars", parameters, timeout=10).json()["data"]
        return [exemplar for series in found for exemplar in series["exemplars"]]

    within(TIMEOUT, lambda: bool(exemplars()))
    assert exemplars()
    assert all(re.fullmatch("[0-9a-f]{32}", each["labels"]["trace_id"]) for each in exemplars())


def test_outage_triggers_only_the_right_alerts(kubectl: Kubectl, query: Query) -> None:
    assert firing(query) == set()
    fired: set[tuple[str, str]] = set()

    def all_fired(expected: set[tuple[str, str]]) -> bool:
        fired.update(firing(query))
        return fired >= expected

    # Without their databases, the APIs answer 503, and so does web.
    kubectl("scale", *DATABASES, "--replicas=0")
    fast = {("ErrorBudgetBurnsFast", service) for service in cluster.IMAGES}
    within(TIMEOUT, lambda: all_fired(fast))
    assert without_data(query, lambda title: title in IN_AN_OUTAGE) == []

    def failing() -> set[str]:
        found = query("sum by (job) (rate(database_errors_total[5m])) > 0")
        return {each["metric"]["job"] for each in found}

    apis = {project.service for project in WITH_DATABASE}
    assert eventually(failing, apis) == apis

    # Then stop thoughts-api itself.
    kubectl("scale", "deployment/thoughts-api", "--replicas=0")
    expected = {(alert, service) for alert in BUDGETS for service in cluster.IMAGES}
    expected.add(("NoPods", "thoughts-api"))
    within(TIMEOUT, lambda: all_fired(expected))
    assert fired == expected
