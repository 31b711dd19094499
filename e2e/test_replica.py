"""Test searches of thoughts_api on a read replica.

The tests use two real PostgreSQL servers with streaming replication.
"""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from tools import postgres
from tools.local import PROJECTS, ROOT, Local
from tools.system import answers, free_ports, within

# If the replica loses its connection to the primary, it tries to reconnect every 200 ms, instead of every 5 s.
OPTIONS = f"{postgres.FAST} -c wal_retrieve_retry_interval=200ms"
SOON = 60.0  # seconds to wait for a change; a few seconds are enough, unless the machine is busy


@dataclass
class Replicated:
    """A primary server and the server that replicates it."""

    primary: postgres.Server
    replica: postgres.Server


def query(server: postgres.Server, statement: str) -> Any:
    """Run a statement, and return the first column of the first row."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return row and row[0]


@dataclass
class Api:
    """A running thoughts_api, a user's token, and the status codes of all searches."""

    url: str
    token: str
    log: Path
    statuses: list[int] = field(default_factory=list)

    def write(self, text: str) -> None:
        """Write a thought."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.post(f"{self.url}/api/me/thoughts/", {"text": text}, headers=headers, timeout=SOON)
        assert answer.status_code == 201, answer.text

    def own(self, limit: int = 100) -> list[str]:
        """Return the texts of the user's own thoughts, newest first."""
        headers, params = {"Authorization": f"Bearer {self.token}"}, {"ordering": "-id", "limit": str(limit)}
        answer = requests.get(f"{self.url}/api/me/thoughts/", params, headers=headers, timeout=SOON)
        return [each["text"] for each in answer.json()]

    def search(self, text: str) -> list[str]:
        """Return the texts of the thoughts that the search finds.

        Return [] if the search fails.
        """
        answer = requests.get(f"{self.url}/api/thoughts/", {"search": text}, timeout=SOON)
        self.statuses.append(answer.status_code)
        return [each["text"] for each in answer.json()] if answer.ok else []

    def usable(self) -> bool:
        """Return whether the metrics say that searches use the replica."""
        return 'database_usable{database="replica"} 1.0' in requests.get(f"{self.url}/metrics", timeout=SOON).text

    def log_lines(self) -> list[str]:
        """Return the log lines about the replica."""
        return [line for line in self.log.read_text().splitlines() if "thoughts_api.replica" in line]

    def ready(self) -> bool:
        """Return whether thoughts_api is ready."""
        return answers(f"{self.url}/readyz")


@pytest.fixture(scope="module")
def replicated() -> Iterator[Replicated]:
    with postgres.primary() as primary, postgres.replica(primary.url, OPTIONS) as replica:
        yield Replicated(primary, replica)


@contextmanager
def serve(replicated: Replicated, folder: Path, **environment: str) -> Iterator[Api]:
    """Serve thoughts_api with both database servers.

    The block starts when searches use the replica.
    """
    local = Local(folder, dict(zip(PROJECTS, free_ports(len(PROJECTS)), strict=True)))
    local.make_secrets()
    key: Any = load_pem_private_key((folder / "keys" / "signing.pem").read_bytes(), None)
    public = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "ours", "use": "sig"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [public]}))
    env = local.environment("thoughts_api") | {
        "TOKENS_JWKS": str(folder / "jwks.json"),
        "DATABASE_URL": replicated.primary.url,
        "DATABASE_REPLICA_URL": replicated.replica.url,
        "STATIC_HASHED": "false",
        **environment,
    }
    subprocess.run(
        [sys.executable, "thoughts_api/manage.py", "migrate", "--verbosity=0"], cwd=ROOT, env=env, check=True
    )
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", "thoughts_api.wsgi"]
    now = int(time.time())
    claims = {"username": "bruce", "user_id": 1, "is_staff": False, "iat": now, "exp": now + 900, "jti": "0"}
    token = jwt.encode(
        claims | {"iss": "users-api", "token_type": "access"}, key, algorithm="RS256", headers={"kid": "ours"}
    )
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(gunicorn, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
    api = Api(local.url("thoughts_api"), token, log)
    try:
        assert within(SOON, api.ready), log.read_text()
        api.search("anything")  # the first search starts the checks of the replica
        assert within(SOON, api.usable), log.read_text()
        yield api
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture(scope="module")
def api(replicated: Replicated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serve thoughts_api for all tests of this file except one.

    That test starts its own server, with other settings.
    """
    with serve(replicated, tmp_path_factory.mktemp("api"), REPLICA_MAX_LAG="1", THREADS="5", MAX_PODS="100") as api:
        yield api


@contextmanager
def searches(api: Api) -> Iterator[None]:
    """Search continuously from four threads while the block runs.

    After the block, check that all searches succeeded.
    """
    api.statuses.clear()
    end = threading.Event()

    def search() -> None:
        while not end.is_set():
            api.search("anything")

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert len(api.statuses) > 4
    assert set(api.statuses) == {200}


@contextmanager
def paused(replicated: Replicated) -> Iterator[None]:
    """While the block runs, let the replica receive changes without replaying them."""
    query(replicated.replica, "SELECT pg_wal_replay_pause()")
    assert within(SOON, lambda: query(replicated.replica, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    try:
        yield
    finally:
        query(replicated.replica, "SELECT pg_wal_replay_resume()")


def test_searches_use_the_replica_and_all_other_reads_use_the_primary(replicated: Replicated, tmp_path: Path) -> None:
    # The replica stays in rotation even if it lags, so a missing thought shows that the replica was queried. With one
    # thread, all requests share one connection to the primary.
    with serve(replicated, tmp_path, REPLICA_MAX_LAG="3600", THREADS="1") as api:
        api.write("Seen by both")
        assert within(SOON, lambda: api.search("seen by") == ["Seen by both"])
        with paused(replicated):
            api.write("Seen by one")
            assert api.own()[0] == "Seen by one"
            assert api.search("seen by") == ["Seen by both"]
            # An empty search uses the primary.
            newest = requests.get(f"{api.url}/api/thoughts/?search=&ordering=-id", timeout=SOON).json()[0]
            assert newest["text"] == "Seen by one"
            assert answers(f"{api.url}/api/thoughts/{newest['id']}/")
        assert within(SOON, lambda: api.search("seen by") == ["Seen by both", "Seen by one"])
        assert "MAX_PODS" not in api.log.read_text()


def test_lagging_replica_is_removed_from_rotation_until_it_is_in_sync(replicated: Replicated, api: Api) -> None:
    before = len(api.log_lines())
    with paused(replicated):
        api.write("Late for the replica")
        assert api.own()[0] == "Late for the replica"
        assert within(SOON, lambda: api.search("late for") == ["Late for the replica"])
        assert within(SOON, lambda: not api.usable())
        assert api.ready()
    assert within(SOON, api.usable)
    assert within(SOON, lambda: changes(api, before) == "WARNING INFO"), changes(api, before)
    assert "lags by more than 1 s" in api.log_lines()[before]


def test_replica_of_an_idle_primary_stays_in_rotation(replicated: Replicated, api: Api) -> None:
    before = len(api.log_lines())
    time.sleep(2)  # twice the allowed lag
    # On a very busy machine, a check of the replica may fail. Searches then use the primary for a moment, but the log
    # does not report a lag.
    assert not [line for line in api.log_lines()[before:] if "lags" in line]
    assert within(SOON, api.usable)


def changes(api: Api, before: int) -> str:
    """Return the levels of the log lines about the replica, such as "WARNING INFO".

    Skip the first `before` lines.
    """
    return " ".join(line.split()[1] for line in api.log_lines()[before:])


def disturb(api: Api, interrupt: Callable[[], None], restore: Callable[[], None]) -> None:
    """Interrupt and restore the replica while searches run.

    Check that no search fails.
    """
    before = len(api.log_lines())
    with searches(api):
        interrupt()
        assert within(SOON, lambda: not api.usable())
        # The searches continue on the primary.
        answered = len(api.statuses)
        assert within(SOON, lambda: len(api.statuses) > answered + 20)
        assert api.ready()
        restore()
        assert within(SOON, api.usable)
        answered = len(api.statuses)
        assert within(SOON, lambda: len(api.statuses) > answered + 20)
    assert within(SOON, api.usable)
    # The replica is usually removed from rotation only once. On a very busy machine, it may happen again.
    assert within(SOON, lambda: bool(re.fullmatch("(WARNING INFO ?)+", changes(api, before)))), changes(api, before)


def test_searches_succeed_while_the_replica_is_stopped(replicated: Replicated, api: Api) -> None:
    disturb(api, replicated.replica.stop, replicated.replica.start)


def test_searches_succeed_while_the_replica_is_stuck(replicated: Replicated, api: Api) -> None:
    server = replicated.replica
    disturb(api, lambda: server.signal(signal.SIGSTOP), lambda: server.signal(signal.SIGCONT))


@contextmanager
def without_primary(replicated: Replicated, api: Api, stuck: bool) -> Iterator[None]:
    """Stop the primary, or make it unresponsive, while the block runs.

    After the block, restore the primary.
    """
    primary = replicated.primary
    if stuck:
        primary.signal(signal.SIGSTOP)
    else:
        primary.stop()
    try:
        yield
    finally:
        if stuck:
            primary.signal(signal.SIGCONT)
        else:
            primary.start()
    assert within(SOON, api.ready)
    # A list without a search uses the primary.
    assert within(SOON, lambda: requests.get(f"{api.url}/api/thoughts/?limit=1", timeout=SOON).ok)
    api.write("The primary is restored")
    assert within(SOON, lambda: "The primary is restored" in api.search("primary is restored"))
    assert within(SOON, api.usable)


@pytest.mark.parametrize("stuck", [False, True], ids=["stopped", "stuck"])
def test_searches_work_without_the_primary(replicated: Replicated, api: Api, stuck: bool) -> None:
    with without_primary(replicated, api, stuck), searches(api):
        time.sleep(3)  # longer than the allowed lag and two checks together
        answered = len(api.statuses)
        assert within(SOON, lambda: len(api.statuses) > answered + 20)
        assert within(SOON, api.usable)


def test_replica_returns_to_rotation_while_the_primary_is_stuck(replicated: Replicated, api: Api) -> None:
    with without_primary(replicated, api, stuck=True):
        time.sleep(2)  # until thoughts_api has checked both servers again
        replicated.replica.stop()
        assert within(SOON, lambda: not api.usable())
        replicated.replica.start()
        assert within(SOON, api.usable)


def test_probes_are_answered_while_the_primary_is_stuck(replicated: Replicated, api: Api) -> None:
    # Send more probes than the server has threads (five).
    with without_primary(replicated, api, stuck=True), ThreadPoolExecutor(8) as pool:
        probes = pool.map(lambda _: requests.get(f"{api.url}/readyz", timeout=SOON).status_code, range(8))
        assert set(probes) == {200}  # pods stay ready, because no other pod has a working primary
        assert requests.get(f"{api.url}/healthz", timeout=SOON).status_code == 200


def test_requests_get_503_while_the_primary_is_stuck_and_succeed_afterwards(replicated: Replicated, api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    api.write("Before it is stuck")

    def own(limit: int) -> int:
        return requests.get(f"{api.url}/api/me/thoughts/?limit={limit}", headers=headers, timeout=SOON).status_code

    # Use more clients than the server has threads (five).
    with without_primary(replicated, api, stuck=True), ThreadPoolExecutor(10) as pool:
        assert set(pool.map(own, range(1, 11))) == {503}
    assert all(len(api.own(limit)) == limit for limit in (1, 2) for _ in range(10))


def test_thread_has_at_most_one_connection_per_database(replicated: Replicated, api: Api) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    headers = {"Authorization": f"Bearer {api.token}"}
    with searches(api), ThreadPoolExecutor(6) as pool:
        for _ in pool.map(
            lambda _: requests.get(f"{api.url}/api/me/thoughts/", headers=headers, timeout=SOON), range(100)
        ):
            pass
    # thoughts_api has five threads, and one more for the checks. PostgreSQL may need a moment to close the connections
    # that thoughts_api abandoned while the server was stuck.
    assert within(SOON, lambda: query(replicated.primary, count) <= 6)
    assert within(SOON, lambda: query(replicated.replica, count) == 6)


def test_startup_warns_if_the_pods_may_open_too_many_connections(api: Api) -> None:
    def warnings() -> list[str]:
        return [line for line in api.log.read_text().splitlines() if "MAX_PODS" in line]

    assert within(SOON, lambda: len(warnings()) >= 2)
    begin = (
        " WARNING common.database.connections [-] "
        "100 pods x 1 workers x (5 threads + 1) may open 600 connections to the database"
    )
    for line, alias in zip(warnings(), ["default", "replica"], strict=True):
        assert line[len("20:28:27.801") :].startswith(f"{begin} '{alias}', which allows 197:")
