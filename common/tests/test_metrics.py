"""Test the Prometheus metrics of requests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from prometheus_client import multiprocess

from common import tracing
from common.events import Event
from common.server import gunicorn_conf
from common.settings import ROOT


def count(api: Client, method: str, route: str, status: int) -> float:
    labels = f'{{method="{method}",route="{route}",status="{status}"}}'
    metrics = api.get("/metrics").text
    found = re.search(rf"^http_request_duration_seconds_count{re.escape(labels)} (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else 0


def test_metrics_are_in_prometheus_format(api: Client) -> None:
    response = api.get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE http_request_duration_seconds histogram" in response.text


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/open/", "/open/", 200),
        ("GET", "/me", "/me/", 401),
        ("DELETE", "/open/", "/open/", 405),
        # Requests for all ids share one time series.
        ("GET", "/items/7/", "/items/<int:id>/", 200),
        ("GET", "/boom/", "/boom/", 500),
    ],
)
def test_a_request_is_counted_by_method_route_and_status(
    api: Client, method: str, path: str, route: str, status: int
) -> None:
    before = count(api, method, route, status)
    assert api.generic(method, path).status_code == status
    assert count(api, method, route, status) == before + 1


def test_client_cannot_create_a_new_time_series(api: Client) -> None:
    before = count(api, "GET", "unknown", 404), count(api, "other", "/open/", 405)
    api.get("/chosen-by-a-client/")
    api.generic("CHOSEN", "/open/")
    assert (count(api, "GET", "unknown", 404), count(api, "other", "/open/", 405)) == (before[0] + 1, before[1] + 1)
    assert "chosen" not in api.get("/metrics").text.lower()


CODE = """
from common import events, registry
from common.http.wsgi import get_wsgi_application
from prometheus_client import generate_latest
print(generate_latest(registry.REGISTRY).decode().count("security_events_total{"))
get_wsgi_application()
print(generate_latest(registry.REGISTRY).decode().count("security_events_total{"))
"""


def test_application_creates_the_counter_of_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "common.tests.settings")
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", str(len(Event))]


def test_probes_are_not_counted(api: Client) -> None:
    api.get("/healthz")
    assert "healthz" not in api.get("/metrics").text


def test_metrics_of_several_workers_are_read_from_the_shared_folder(
    api: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    # The folder is still empty, so there are no metrics.
    assert api.get("/metrics").status_code == 200
    assert "http_request" not in api.get("/metrics").text


def test_metrics_of_an_exited_worker_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended: list[int] = []
    monkeypatch.setattr(multiprocess, "mark_process_dead", ended.append)
    worker = type("Worker", (), {"pid": 7})
    gunicorn_conf.child_exit(None, worker)
    assert ended == []
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    gunicorn_conf.child_exit(None, worker)
    assert ended == [7]


def test_openmetrics_format_contains_the_trace_id_of_a_request(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "exemplar", lambda: {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})
    api.get("/open/")
    response = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert '# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"}' in response.text
    assert "trace_id" not in api.get("/metrics").text
