"""Test the probes of thoughts_api while PostgreSQL fails in different ways.

The tests send the probes to the management port.
"""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests

from tools import postgres
from tools.local import PROJECTS, ROOT, Local
from tools.system import free_ports, within

SOON = 60.0  # seconds to wait for a change; a few seconds are enough, unless the machine is busy
PROBE = 1.0  # seconds within which thoughts_api must answer a probe


@dataclass
class Api:
    """A running thoughts_api and its database server.

    `management` is the URL of the management port.
    """

    url: str
    management: str
    database: postgres.Server

    def ready(self) -> bool:
        """Return whether /readyz answers 200."""
        return requests.get(f"{self.management}/readyz", timeout=SOON).status_code == 200

    def reason(self) -> str:
        """Return the status text in the body of /readyz."""
        return str(requests.get(f"{self.management}/readyz", timeout=SOON).json()["status"])

    def statuses(self, count: int = 12) -> set[int]:
        """Send requests that need the database, and return the set of status codes."""
        return {requests.get(f"{self.url}/api/thoughts/1/", timeout=SOON).status_code for _ in range(count)}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    *ports, management = free_ports(len(PROJECTS) + 1)
    local = Local(folder, dict(zip(PROJECTS, ports, strict=True)))
    local.make_secrets()
    with postgres.primary() as database:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE api LOGIN")
            connection.execute("GRANT ALL ON SCHEMA public TO api")
        env = local.environment("thoughts_api") | {
            "TOKENS_JWKS": "/nowhere",
            "DATABASE_URL": database.url.replace("postgres@", "api@"),
            "STATIC_HASHED": "false",
            "MANAGEMENT_PORT": str(management),
        }
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", "thoughts_api.wsgi"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(gunicorn, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        found = Api(local.url("thoughts_api"), f"http://127.0.0.1:{management}", database)
        try:
            assert within(SOON, lambda: _answers(found))
            # Until the first check has finished, the reason is "starting".
            assert within(SOON, lambda: found.reason() == "migrations are not applied")
            migrate = [sys.executable, "thoughts_api/manage.py", "migrate", "--verbosity=0"]
            subprocess.run(migrate, cwd=ROOT, env={**os.environ, **env}, check=True)
            assert within(SOON, found.ready), Path(folder, "log").read_text()
            yield found
        finally:
            process.terminate()
            process.wait(timeout=60)


def _answers(api: Api) -> bool:
    try:
        return requests.get(f"{api.management}/healthz", timeout=SOON).ok
    except requests.RequestException:
        return False


def test_probes_are_only_on_the_management_port(api: Api) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert requests.get(f"{api.url}{path}", timeout=SOON).status_code == 404
    assert "http_request_duration" in requests.get(f"{api.management}/metrics", timeout=SOON).text
    assert requests.get(f"{api.management}/api/thoughts/", timeout=SOON).status_code == 404


def test_pod_stays_ready_while_the_database_is_down(api: Api) -> None:
    api.database.stop()
    try:
        for _ in range(8):
            assert api.statuses(count=1) == {503}
            assert api.ready()
    finally:
        api.database.start()
    assert within(SOON, lambda: api.statuses() == {404})  # 404, because the database has no such thought


def test_pod_stays_ready_and_answers_probes_while_the_database_is_stuck(api: Api) -> None:
    api.database.signal(signal.SIGSTOP)
    try:
        durations = []
        for _ in range(5):
            assert api.statuses(count=1) == {503}
            begin = time.monotonic()
            assert api.ready()
            assert _answers(api)
            durations.append(time.monotonic() - begin)
        assert statistics.median(durations) < PROBE  # the median, because a single probe may wait for a CPU
    finally:
        api.database.signal(signal.SIGCONT)
    assert within(SOON, lambda: api.statuses() == {404})


def test_pod_with_failing_connections_is_not_ready(api: Api) -> None:
    with psycopg.connect(api.database.url, autocommit=True) as connection:
        connection.execute("ALTER ROLE api NOLOGIN")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'api'")
        try:
            assert within(SOON, lambda: not api.ready())
            assert api.reason() == "the database accepts connections, but not from this process"
            assert _answers(api)
        finally:
            connection.execute("ALTER ROLE api LOGIN")
    assert within(SOON, api.ready)
