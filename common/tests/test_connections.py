"""Test the warning that PostgreSQL allows too few connections for the service."""

import socket
import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psycopg
import pytest
from django.core.checks import database as database_checks
from django.core.management import call_command
from django.db import InterfaceError, OperationalError
from django.db.utils import ConnectionHandler

from common.database import connections
from common.registry import REGISTRY
from common.server import gunicorn_conf


class Connections(dict[str, Any]):
    """Replacement for `django.db.connections`, which maps aliases to connections."""

    def close_all(self) -> None:
        for connection in self.values():
            connection.close()


def use(monkeypatch: pytest.MonkeyPatch, databases: Any) -> None:
    """Use these connections, and configure 11 pods, 2 workers and 8 threads."""
    for module in (connections, database_checks):
        monkeypatch.setattr(module, "connections", databases)
    for name, value in {"MAX_PODS": "11", "WEB_CONCURRENCY": "2", "THREADS": "8"}.items():
        monkeypatch.setenv(name, value)


def warnings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, **databases: Any) -> list[str]:
    """Return the warnings about these databases, for 11 pods, 2 workers and 8 threads."""
    for alias, database in databases.items():
        database.alias = alias
    use(monkeypatch, Connections(databases))
    connections.log_warnings()
    assert all(database.close.called for database in databases.values() if database.vendor == "postgresql")
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    return [record.getMessage() for record in caplog.records]


def postgresql(allowed: int, error: Exception | None = None) -> Any:
    """Return a mock connection to a PostgreSQL server with this connection limit."""
    database = MagicMock(vendor="postgresql")
    database.validation = connections.DatabaseValidation(database)
    database.cursor.side_effect = error
    database.cursor.return_value.__enter__.return_value.fetchone.return_value = (allowed,)
    return database


def test_warning_shows_how_many_connections_are_needed_and_allowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The threads need 176 connections, and a migration needs another one.
    assert warnings(monkeypatch, caplog, default=postgresql(11 * 2 * 8)) == [
        "11 pods x 2 workers x 8 threads may open 176 connections to the database 'default', which allows 176: "
        "raise its max_connections, or lower MAX_PODS, WEB_CONCURRENCY or THREADS"
    ]


def test_enough_connections_cause_no_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(monkeypatch, caplog, default=postgresql(11 * 2 * 8 + 1)) == []
    assert warnings(monkeypatch, caplog, default=postgresql(11 * 2 * 9 + 1), replica=postgresql(11 * 2 * 9 + 1)) == []


def test_replica_needs_one_more_connection_per_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = warnings(monkeypatch, caplog, default=postgresql(198), replica=postgresql(198))
    for line, alias in zip(lines, ["default", "replica"], strict=True):
        assert f"11 pods x 2 workers x (8 threads + 1) may open 198 connections to the database '{alias}'" in line


def test_management_port_needs_one_more_connection_per_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, Connections(default=postgresql(99)))
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    monkeypatch.setenv("MANAGEMENT_PORT", "9000")
    connections.log_warnings()
    assert "11 pods x 1 workers x (8 threads + 1) may open 99 connections" in caplog.text


@pytest.mark.parametrize("error", [OperationalError("unreachable"), InterfaceError("closed")])
def test_unreachable_database_is_skipped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    [line] = warnings(monkeypatch, caplog, default=postgresql(0, error), replica=postgresql(10))
    assert "'replica'" in line


@pytest.mark.parametrize("engine", ["sqlite3", "dummy"])
def test_other_databases_are_not_checked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    databases = ConnectionHandler({"default": {"ENGINE": f"django.db.backends.{engine}", "NAME": "/nowhere"}})
    use(monkeypatch, databases)
    connections.log_warnings()
    assert caplog.records == []
    assert databases["default"].connection is None


def test_postgresql_backend_runs_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    databases = ConnectionHandler({"default": {"ENGINE": "common.database.postgresql", "NAME": "thoughts"}})
    assert isinstance(databases["default"].validation, connections.DatabaseValidation)


def test_failed_connection_is_counted() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # the port is in use, but no server is listening on it
        database = {"ENGINE": "common.database.postgresql", "NAME": "x", "HOST": "127.0.0.1"}
        connection = ConnectionHandler({"default": {**database, "PORT": str(closed.getsockname()[1])}})["default"]
        labels = {"database": "default", "error": "OperationalError"}
        before = REGISTRY.get_sample_value("database_errors_total", labels) or 0
        with pytest.raises(psycopg.OperationalError):
            connection.get_new_connection(connection.get_connection_params())
    assert REGISTRY.get_sample_value("database_errors_total", labels) == before + 1


def test_check_command_shows_the_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use(monkeypatch, Connections(default=postgresql(176)))
    call_command("check", databases=["default"])
    assert "(common.W001) 11 pods x 2 workers x 8 threads may open 176 connections" in capsys.readouterr().err


def test_only_the_first_worker_checks_the_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = MagicMock()
    monkeypatch.setattr(threading, "Thread", thread)
    worker: Any = SimpleNamespace
    for age in (1, 2, 3):
        gunicorn_conf.post_worker_init(worker(age=age))
    thread.assert_called_once_with(target=connections.log_warnings, daemon=True)
    thread().start.assert_called_once_with()
