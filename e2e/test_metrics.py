"""Test that the system's metrics are complete and contain no private data.

The names of the metrics must follow Prometheus's recommendations.
"""

import re
import subprocess

import pytest
import requests

from common.events import Event
from tools.projects import SERVICES
from tools.prometheus import promtool
from tools.system import System, answers, within

TIMEOUT = 30
EXPECTED = {
    "thoughts": {"http_request_duration_seconds", "database_statement_duration_seconds", "security_events_total"},
    "users": {"signing_key_timestamp_seconds", "database_statement_duration_seconds", "security_events_total"},
    "web": {"backend_call_duration_seconds", "gunicorn_busy_threads", "gunicorn_queued_requests", "gunicorn_threads"},
}


@pytest.mark.parametrize("service", EXPECTED)
def test_metrics_of_a_service(system: System, service: str) -> None:
    requests.post(f"{system.users}/api/login/", json={"username": "bruce", "password": "wrong"}, timeout=TIMEOUT)
    requests.get(f"{system.web}/search", params={"search": "canary5b1f"}, timeout=TIMEOUT)
    url = f"{getattr(system, service)}/metrics"
    assert within(TIMEOUT, lambda: answers(url))
    text = requests.get(url, timeout=TIMEOUT).text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert names >= EXPECTED[service]
    assert {*re.findall(r'^security_events_total\{event="(\S+)"\} ', text, re.MULTILINE)} == {*Event}
    if service == "web":
        called = re.findall(r'^backend_call_duration_seconds_count\{.*service="(\S+)"\} ', text, re.MULTILINE)
        assert "thoughts-api" in called
        assert {*called} <= {*SERVICES}
    assert "canary5b1f" not in text
    done = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
