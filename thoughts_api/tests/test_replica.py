"""When a search goes to the read replica. With two servers: e2e/test_replica.py."""

import logging
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, ProgrammingError
from pytest_django import Settings
from rest_framework.test import APIClient

from thoughts_api import replica
from thoughts_api.models import Thought
from thoughts_api.replica import ALIAS, Replica

LAG = 5


class FakeConnection:
    closed = outages = 0
    error: Exception = OperationalError("nobody\nanswers")

    def cursor(self) -> Any:
        raise self.error

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """The connection to the replica, and to the primary."""
    connection = FakeConnection()
    monkeypatch.setattr(replica, "connections", {ALIAS: connection, DEFAULT_DB_ALIAS: connection})
    return connection


@pytest.fixture
def watched(settings: Settings, connection: FakeConnection, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """A replica that is set, and fit until it is said otherwise."""
    watched = Replica(LAG)
    watched.note(0, now=0)
    watched.judge(0)
    monkeypatch.setitem(settings.DATABASES, ALIAS, {})
    monkeypatch.setattr(replica, "watched", lambda: watched)
    return watched


def fit(written: list[tuple[float, int]], replayed: int | None) -> bool | None:
    """Return whether a replica is fit after this, when the primary had written so much at these seconds."""
    watched = Replica(LAG)
    for when, amount in written:
        watched.note(amount, when)
    watched.judge(replayed)
    return watched.fit


def test_it_is_fit_if_it_has_what_the_primary_had_written_so_long_ago() -> None:
    written = [(0.0, 100), (1.0, 200), (2.0, 300), (7.0, 400)]
    assert fit(written, 400)
    assert fit(written, 300)
    assert not fit(written, 299)
    # The next look, at which the newest is not yet old enough.
    assert fit([*written, (11.9, 500)], 300)
    assert not fit([*written, (12.0, 500)], 300)


def test_an_idle_primary_leaves_it_fit() -> None:
    assert fit([(float(second), 100) for second in range(1000)], 100)


def test_at_first_it_must_have_what_the_primary_had_written_by_then() -> None:
    assert fit([], 100) is None
    assert fit([(0, 100)], 99) is False
    assert fit([(0, 100)], 100)


def test_a_server_that_is_no_replica_is_unfit() -> None:
    assert fit([(0, 100)], None) is False


def test_a_primary_that_does_not_answer_changes_nothing() -> None:
    watched = Replica(LAG)
    for second in range(10):
        watched.note(100 * second, now=second)
    watched.judge(400)
    assert watched.fit
    # Nothing is noted for a minute; of what was written last, the replica will never hear.
    watched.judge(400)
    assert watched.fit


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("connection is closed")])
def test_nor_does_the_failure_of_a_look_at_it(
    watched: Replica, connection: FakeConnection, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    connection.error = error
    watched.look_at_primary()
    assert watched.fit
    # The next look has another connection.
    assert connection.closed == 1
    assert not caplog.records


def test_a_replica_that_does_not_answer_a_look_is_left_out(watched: Replica, connection: FakeConnection) -> None:
    watched.look_at_replica()
    assert watched.fit is False
    assert connection.closed == 1


def test_what_was_written_long_ago_is_forgotten() -> None:
    watched = Replica(LAG)
    for second in range(1000):
        watched.note(second, now=second)
    assert len(watched._written) == LAG + 1


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = Replica(LAG)
    watched.note(100, now=0)
    with caplog.at_level(logging.INFO, "thoughts_api.replica"):
        for replayed in (99, 99, 100, 100, None, None):
            watched.judge(replayed)
        watched.leave_out("it is away")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the replica is left out: it is more than 5 s behind"),
        ("INFO", "searches go to the replica"),
        ("WARNING", "the replica is left out: it is not in recovery"),
    ]


def test_the_metrics_say_whether_it_is_fit(watched: Replica, anyone: APIClient) -> None:
    assert 'database_fit{database="replica"} 1.0' in anyone.get("/metrics").content.decode()
    watched.leave_out("it is away")
    assert 'database_fit{database="replica"} 0.0' in anyone.get("/metrics").content.decode()


def test_without_a_replica_nobody_looks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "watch", lambda self: pytest.fail("watched"))
    assert replica.read(lambda alias: alias) == DEFAULT_DB_ALIAS


def test_a_fit_replica_is_asked_and_no_other(watched: Replica) -> None:
    assert replica.read(lambda alias: alias) == ALIAS
    watched.leave_out("it is away")
    assert replica.read(lambda alias: alias) == DEFAULT_DB_ALIAS


def test_a_connection_from_before_an_outage_is_not_used(watched: Replica, connection: FakeConnection) -> None:
    assert replica.read(lambda alias: connection.closed) == 0
    watched.leave_out("it is away")
    watched.judge(0)
    assert replica.read(lambda alias: connection.closed) == 1
    # Another one is, again and again.
    assert replica.read(lambda alias: connection.closed) == 1


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server is gone\nLINE 1: what was searched for"),
        InterfaceError("connection is closed"),
        ProgrammingError("a migration is not there yet"),
    ],
)
def test_what_fails_on_the_replica_is_asked_of_the_primary(
    watched: Replica, connection: FakeConnection, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def query(alias: str) -> str:
        if alias == ALIAS:
            raise error
        return alias

    assert replica.read(query) == DEFAULT_DB_ALIAS
    assert watched.fit is False
    assert connection.closed == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"the replica is left out: {str(error).partition(chr(10))[0]}"
    ]


@pytest.mark.django_db
def test_only_a_search_for_something_goes_there(
    anyone: APIClient, bruce: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def read(query: Any) -> Any:
        asked.append(query)
        return query(DEFAULT_DB_ALIAS)

    monkeypatch.setattr(replica, "read", read)
    thought = Thought.objects.create(username="bruce", text="Tea first")
    for path in ("/api/thoughts/", "/api/thoughts/?search=", f"/api/thoughts/{thought.id}/"):
        assert anyone.get(path).status_code == 200
    assert bruce.get("/api/me/thoughts/").status_code == 200
    assert bruce.get("/api/me/thoughts/?search=tea").status_code == 200
    assert bruce.post("/api/me/thoughts/", {"text": "Tea last"}).status_code == 201
    assert asked == []

    assert len(anyone.get("/api/thoughts/?search=tea").json()) == 2
    assert len(asked) == 1
