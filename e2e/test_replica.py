"""Searches on a read replica: two PostgreSQL with streaming replication, and thoughts_api as gunicorn serves it."""

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

OPTIONS = f"{postgres.FAST} -c wal_retrieve_retry_interval=200ms"  # not 5 s until it looks for the primary again
SOON = 60.0  # seconds; all of it happens in a few, but on a machine that is busy


@dataclass
class Replicated:
    """A primary and its replica."""

    primary: postgres.Server
    replica: postgres.Server


def ask(server: postgres.Server, statement: str) -> Any:
    """Run a statement on a server and return the first column of its first row."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return row and row[0]


@dataclass
class Api:
    """A thoughts_api that runs, and a person who writes there."""

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
        """Return the texts of one's own thoughts, the newest first."""
        headers, params = {"Authorization": f"Bearer {self.token}"}, {"ordering": "-id", "limit": str(limit)}
        answer = requests.get(f"{self.url}/api/me/thoughts/", params, headers=headers, timeout=SOON)
        return [each["text"] for each in answer.json()]

    def search(self, piece: str) -> list[str]:
        """Return the texts that a search finds."""
        answer = requests.get(f"{self.url}/api/thoughts/", {"search": piece}, timeout=SOON)
        self.statuses.append(answer.status_code)
        return [each["text"] for each in answer.json()] if answer.ok else []

    def fit(self) -> bool:
        """Return whether searches go to the replica, as the metrics say."""
        return 'database_usable{database="replica"} 1.0' in requests.get(f"{self.url}/metrics", timeout=SOON).text

    def said(self) -> list[str]:
        """Return what was logged about the replica."""
        return [line for line in self.log.read_text().splitlines() if "thoughts_api.replica" in line]

    def ready(self) -> bool:
        """Return whether pods would get requests."""
        return answers(f"{self.url}/readyz")


@pytest.fixture(scope="module")
def replicated() -> Iterator[Replicated]:
    with postgres.primary() as primary, postgres.replica(primary.url, OPTIONS) as replica:
        yield Replicated(primary, replica)


@contextmanager
def serve(replicated: Replicated, folder: Path, **environment: str) -> Iterator[Api]:
    """Serve thoughts_api with both databases, until the replica is used."""
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
        api.search("anything")  # from the first one on, the replica is watched
        assert within(SOON, api.fit), log.read_text()
        yield api
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture(scope="module")
def api(replicated: Replicated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A thoughts_api for all tests here but one."""
    with serve(replicated, tmp_path_factory.mktemp("api"), REPLICA_MAX_LAG="1", THREADS="5", MAX_PODS="100") as api:
        yield api


@contextmanager
def searches(api: Api) -> Iterator[None]:
    """Search all the time from four threads, as many as may; afterwards, each search must have been answered."""
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
    """Let the replica receive, and not replay."""
    ask(replicated.replica, "SELECT pg_wal_replay_pause()")
    assert within(SOON, lambda: ask(replicated.replica, "SELECT pg_get_wal_replay_pause_state()") == "paused")
    try:
        yield
    finally:
        ask(replicated.replica, "SELECT pg_wal_replay_resume()")


def test_a_search_goes_to_the_replica_and_ones_own_list_to_the_primary(replicated: Replicated, tmp_path: Path) -> None:
    # However far behind it is, so that it shows which of the two has answered; and with one connection to the primary.
    with serve(replicated, tmp_path, REPLICA_MAX_LAG="3600", THREADS="1") as api:
        api.write("Seen by both")
        assert within(SOON, lambda: api.search("seen by") == ["Seen by both"])
        with paused(replicated):
            api.write("Seen by one")
            assert api.own()[0] == "Seen by one"
            assert api.search("seen by") == ["Seen by both"]
            # No search, and so from the primary.
            newest = requests.get(f"{api.url}/api/thoughts/?search=&ordering=-id", timeout=SOON).json()[0]
            assert newest["text"] == "Seen by one"
            assert answers(f"{api.url}/api/thoughts/{newest['id']}/")
        assert within(SOON, lambda: api.search("seen by") == ["Seen by both", "Seen by one"])
        assert "MAX_PODS" not in api.log.read_text()


def test_a_replica_that_is_behind_is_left_out_until_it_has_caught_up(replicated: Replicated, api: Api) -> None:
    before = len(api.said())
    with paused(replicated):
        api.write("Late for the replica")
        assert api.own()[0] == "Late for the replica"
        assert within(SOON, lambda: api.search("late for") == ["Late for the replica"])
        assert within(SOON, lambda: not api.fit())
        assert api.ready()
    assert within(SOON, api.fit)
    assert changes(api, before) == "WARNING INFO"
    assert "lags by more than 1 s" in api.said()[before]


def test_an_idle_primary_leaves_nobody_behind(replicated: Replicated, api: Api) -> None:
    before = len(api.said())
    time.sleep(2)  # twice the lag that is allowed
    assert api.fit()
    assert len(api.said()) == before


def changes(api: Api, before: int) -> str:
    """Return the levels of the lines about the replica after so many of them."""
    return " ".join(line.split()[0] for line in api.said()[before:])


def disturb(api: Api, away: Callable[[], None], back: Callable[[], None]) -> None:
    """Take the replica away under searches, and bring it back."""
    before = len(api.said())
    with searches(api):
        away()
        assert within(SOON, lambda: not api.fit())
        # All threads go on, with the primary.
        answered = len(api.statuses)
        assert within(SOON, lambda: len(api.statuses) > answered + 20)
        assert api.ready()
        back()
        assert within(SOON, api.fit)
        answered = len(api.statuses)
        assert within(SOON, lambda: len(api.statuses) > answered + 20)
    assert within(SOON, api.fit)
    # Once is what there is to see; on a machine that is very busy, the replica may be slow once more.
    assert re.fullmatch("(WARNING INFO ?)+", changes(api, before))


def test_a_replica_that_stops_costs_no_search_and_comes_back(replicated: Replicated, api: Api) -> None:
    disturb(api, replicated.replica.stop, replicated.replica.start)


def test_a_replica_that_hangs_costs_no_search_and_comes_back(replicated: Replicated, api: Api) -> None:
    server = replicated.replica
    disturb(api, lambda: server.signal(signal.SIGSTOP), lambda: server.signal(signal.SIGCONT))


@contextmanager
def without_primary(replicated: Replicated, api: Api, hangs: bool) -> Iterator[None]:
    """Take the primary away, and bring it back."""
    primary = replicated.primary
    if hangs:
        primary.signal(signal.SIGSTOP)
    else:
        primary.stop()
    try:
        yield
    finally:
        if hangs:
            primary.signal(signal.SIGCONT)
        else:
            primary.start()
    assert within(SOON, api.ready)
    api.write("The primary is back")
    assert within(SOON, lambda: "The primary is back" in api.search("primary is back"))
    assert within(SOON, api.fit)


@pytest.mark.parametrize("hangs", [False, True], ids=["away", "hangs"])
def test_searches_go_on_without_the_primary(replicated: Replicated, api: Api, hangs: bool) -> None:
    with without_primary(replicated, api, hangs), searches(api):
        time.sleep(3)  # more than the lag that is allowed and a look or two
        answered = len(api.statuses)
        assert within(SOON, lambda: len(api.statuses) > answered + 20)
        assert within(SOON, api.fit)


def test_a_replica_comes_back_though_the_primary_hangs(replicated: Replicated, api: Api) -> None:
    with without_primary(replicated, api, hangs=True):
        time.sleep(2)  # until it is asked
        replicated.replica.stop()
        assert within(SOON, lambda: not api.fit())
        replicated.replica.start()
        assert within(SOON, api.fit)


def test_probes_are_answered_while_the_primary_hangs(replicated: Replicated, api: Api) -> None:
    with without_primary(replicated, api, hangs=True), ThreadPoolExecutor(8) as pool:  # more than there are threads
        probes = pool.map(lambda _: requests.get(f"{api.url}/readyz", timeout=SOON).status_code, range(8))
        assert set(probes) == {200}  # it hangs for all pods: none of them leaves its Service
        assert requests.get(f"{api.url}/healthz", timeout=SOON).status_code == 200


def test_who_asks_a_primary_that_hangs_is_told_so_and_nobody_gets_an_answer_of_somebody_else(
    replicated: Replicated, api: Api
) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    api.write("Before it hangs")

    def own(limit: int) -> int:
        return requests.get(f"{api.url}/api/me/thoughts/?limit={limit}", headers=headers, timeout=SOON).status_code

    with without_primary(replicated, api, hangs=True), ThreadPoolExecutor(10) as pool:  # twice as many as threads
        assert set(pool.map(own, range(1, 11))) == {503}
    assert all(len(api.own(limit)) == limit for limit in (1, 2) for _ in range(10))


def test_a_thread_has_no_more_than_one_connection_to_each(replicated: Replicated, api: Api) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    headers = {"Authorization": f"Bearer {api.token}"}
    with searches(api), ThreadPoolExecutor(6) as pool:
        for _ in pool.map(
            lambda _: requests.get(f"{api.url}/api/me/thoughts/", headers=headers, timeout=SOON), range(100)
        ):
            pass
    # And the one that watches. A server may take a moment to end what was given up while it hung.
    assert within(SOON, lambda: ask(replicated.primary, count) <= 6)
    assert within(SOON, lambda: ask(replicated.replica, count) == 6)


def test_the_start_says_that_so_many_pods_would_open_too_many(api: Api) -> None:
    def warnings() -> list[str]:
        return [line for line in api.log.read_text().splitlines() if "MAX_PODS" in line]

    assert within(SOON, lambda: len(warnings()) >= 2)
    begin = (
        "WARNING common.database.connections [-] "
        "100 pods x 1 workers x (5 threads + 1) may open 600 connections to the database"
    )
    for line, alias in zip(warnings(), ["default", "replica"], strict=True):
        assert line.startswith(f"{begin} '{alias}', which allows 197:")
