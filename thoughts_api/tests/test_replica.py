"""Test how searches are routed to the replica, with fake connections.

e2e/test_replica.py uses two real servers.
"""

import logging
import math
import re
import subprocess
import sys
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, ProgrammingError
from pytest_django import Settings
from rest_framework.test import APIClient

from common.registry import REGISTRY
from common.settings import ROOT
from thoughts_api import replica
from thoughts_api.models import Thought
from thoughts_api.replica import ALIAS, Replica

LAG = 5


class FakeConnection:
    """A database connection on which every query fails."""

    closed = outages = 0
    error: Exception = OperationalError("connection\nrefused")

    def cursor(self) -> Any:
        raise self.error

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """Use a fake connection for both the replica and the primary."""
    connection = FakeConnection()
    monkeypatch.setattr(replica, "connections", {ALIAS: connection, DEFAULT_DB_ALIAS: connection})
    return connection


@pytest.fixture
def watched(settings: Settings, connection: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """Configure a replica, put it in rotation, and return its state."""
    watched = Replica(LAG)
    watched.record(0, now=0)
    watched.compare(0)
    monkeypatch.setitem(settings.DATABASES, ALIAS, {})
    monkeypatch.setattr(replica, "watched", lambda: watched)
    return watched


def usable(written: list[tuple[float, int]], replayed: int | None) -> bool | None:
    """Return whether a replica at the position `replayed` is usable.

    `written` lists the checks of the primary. Each has a time in seconds and the primary's position at that time.
    """
    watched = Replica(LAG)
    for when, amount in written:
        watched.record(amount, when)
    watched.compare(replayed)
    return watched.usable


def test_replica_within_the_lag_is_usable() -> None:
    written = [(0.0, 100), (1.0, 200), (2.0, 300), (7.0, 400)]
    assert usable(written, 400)
    assert usable(written, 300)
    assert not usable(written, 299)
    # At 11.9 s, position 400 is only 4.9 s old, so the replica may still lack it. At 12.0 s, the replica must have
    # replayed it.
    assert usable([*written, (11.9, 500)], 300)
    assert not usable([*written, (12.0, 500)], 300)


def test_idle_primary_does_not_remove_the_replica() -> None:
    assert usable([(float(second), 100) for second in range(1000)], 100)


def test_first_check_requires_the_current_position_of_the_primary() -> None:
    assert usable([], 100) is None
    assert usable([(0, 100)], 99) is False
    assert usable([(0, 100)], 100)


def test_promoted_replica_is_not_usable() -> None:
    assert usable([(0, 100)], None) is False


def test_replica_stays_in_rotation_while_the_primary_is_unreachable() -> None:
    watched = Replica(LAG)
    for second in range(10):
        watched.record(100 * second, now=second)
    watched.compare(400)
    assert watched.usable
    # While the primary is unreachable, no position is recorded, and the replica stays at position 400.
    watched.compare(400)
    assert watched.usable


@pytest.mark.parametrize("error", [OperationalError("connection refused"), InterfaceError("connection is closed")])
def test_failed_check_of_the_primary_keeps_the_replica_in_rotation(
    watched: Replica, connection: FakeConnection, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    connection.error = error
    watched.check_primary()
    assert watched.usable
    # The connection is closed, so the next check opens another one.
    assert connection.closed == 1
    assert not caplog.records


def test_unreachable_replica_is_removed(watched: Replica, connection: FakeConnection) -> None:
    watched.check_replica()
    assert watched.usable is False
    assert connection.closed == 1


def test_old_positions_are_dropped() -> None:
    watched = Replica(LAG)
    for second in range(1000):
        watched.record(second, now=second)
    assert len(watched._written) == LAG + 1


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = Replica(LAG)
    watched.record(100, now=0)
    with caplog.at_level(logging.INFO, "thoughts_api.replica"):
        for replayed in (99, 99, 100, 100, None, None):
            watched.compare(replayed)
        watched.remove("it is unreachable")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the replica is removed from rotation: it lags by more than 5 s"),
        ("INFO", "the replica is in rotation for searches"),
        ("WARNING", "the replica is removed from rotation: it is not in recovery"),
    ]


def test_metric_shows_whether_the_replica_is_usable(watched: Replica, anonymous: APIClient) -> None:
    assert 'database_usable{database="replica"} 1.0' in anonymous.get("/metrics").content.decode()
    watched.remove("it is unreachable")
    assert 'database_usable{database="replica"} 0.0' in anonymous.get("/metrics").content.decode()


def lag() -> float | None:
    """Return the lag in the metrics, in bytes, or None if it is missing."""
    return REGISTRY.get_sample_value("database_replica_lag_bytes", {"database": ALIAS})


def test_metric_shows_how_far_the_replica_lags(watched: Replica) -> None:
    watched.record(5_000, now=1)
    watched.compare(2_000)
    assert lag() == 3_000


def test_metric_shows_the_lag_of_a_replica_that_lags_too_much(watched: Replica) -> None:
    watched.record(5_000, now=1)
    watched.record(9_000, now=1 + LAG)
    watched.compare(2_000)
    assert watched.usable is False
    assert lag() == 7_000


def test_metrics_of_the_replica_are_missing_before_the_first_check() -> None:
    code = (
        "import django; django.setup(); from thoughts_api import replica; from prometheus_client import generate_latest"
    )
    code += "; print(generate_latest(replica.REGISTRY).decode())"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "# TYPE database_replica_lag_bytes gauge" in printed
    assert not re.search(r"^database_(replica|usable)", printed, re.MULTILINE)


def test_lag_is_unknown_until_the_primary_has_been_checked(connection: FakeConnection) -> None:
    replica.LAG.clear()
    Replica(LAG).compare(2_000)
    assert lag() is None


def test_lag_of_an_unreachable_replica_is_unknown(watched: Replica) -> None:
    assert lag() == 0
    watched.check_replica()
    assert math.isnan(lag() or 0)
    watched.compare(0)
    assert lag() == 0


def test_lag_of_a_promoted_replica_is_unknown(watched: Replica) -> None:
    watched.compare(None)
    assert math.isnan(lag() or 0)


def test_nothing_is_checked_if_no_replica_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "watch", lambda self: pytest.fail("The checks were started."))
    assert replica.read(lambda alias: alias) == DEFAULT_DB_ALIAS


def test_only_a_usable_replica_is_queried(watched: Replica) -> None:
    assert replica.read(lambda alias: alias) == ALIAS
    watched.remove("it is unreachable")
    assert replica.read(lambda alias: alias) == DEFAULT_DB_ALIAS


def test_connection_from_before_an_outage_is_closed(watched: Replica, connection: FakeConnection) -> None:
    assert replica.read(lambda alias: connection.closed) == 0
    watched.remove("it is unreachable")
    watched.compare(0)
    assert replica.read(lambda alias: connection.closed) == 1
    # The new connection is kept.
    assert replica.read(lambda alias: connection.closed) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationalError("server closed the connection\nLINE 1: the searched text"), "server closed the connection"),
        (InterfaceError("connection is closed"), "connection is closed"),
        (ProgrammingError("a migration is missing"), "ProgrammingError"),
    ],
)
def test_query_that_fails_on_the_replica_runs_on_the_primary(
    watched: Replica, connection: FakeConnection, caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    def query(alias: str) -> str:
        if alias == ALIAS:
            raise error
        return alias

    assert replica.read(query) == DEFAULT_DB_ALIAS
    assert watched.usable is False
    assert connection.closed == 1
    assert [record.getMessage() for record in caplog.records] == [f"the replica is removed from rotation: {reason}"]


@pytest.mark.django_db
def test_only_searches_use_the_replica(anonymous: APIClient, bruce: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    queries: list[Any] = []

    def read(query: Any) -> Any:
        queries.append(query)
        return query(DEFAULT_DB_ALIAS)

    monkeypatch.setattr(replica, "read", read)
    thought = Thought.objects.create(username="bruce", text="Tea first")
    for path in ("/api/thoughts/", "/api/thoughts/?search=", f"/api/thoughts/{thought.id}/"):
        assert anonymous.get(path).status_code == 200
    assert bruce.get("/api/me/thoughts/").status_code == 200
    assert bruce.get("/api/me/thoughts/?search=tea").status_code == 200
    assert bruce.post("/api/me/thoughts/", {"text": "Tea last"}).status_code == 201
    assert queries == []

    assert len(anonymous.get("/api/thoughts/?search=tea").json()) == 2
    assert len(queries) == 1
