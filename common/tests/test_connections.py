"""The warning at the start when PostgreSQL takes fewer connections than may be opened."""

import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from django.db import InterfaceError, OperationalError

from common.database import connections
from common.server import gunicorn_conf


def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, **databases: Any) -> list[str]:
    """Return what is logged for 11 pods of 2 workers with 8 threads, and these databases."""
    monkeypatch.setattr(connections, "connections", databases)
    connections.check(pods=11, workers=2, threads=8)
    assert all(database.close.called for database in databases.values() if database.vendor == "postgresql")
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    return [record.getMessage() for record in caplog.records]


def postgresql(takes: int, error: Exception | None = None) -> Any:
    """Return a connection to a PostgreSQL that takes this many."""
    database = MagicMock(vendor="postgresql")
    database.cursor.side_effect = error
    database.cursor.return_value.__enter__.return_value.fetchone.return_value = (takes,)
    return database


def test_too_few_connections_are_said_with_the_arithmetic(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # One must be left for a migration.
    assert said(monkeypatch, caplog, default=postgresql(11 * 2 * 8)) == [
        "11 pods x 2 workers x 8 threads may open 176 connections to the database 'default', which allows 176: "
        "raise its max_connections, or lower MAX_PODS, WEB_CONCURRENCY or THREADS"
    ]


def test_enough_connections_are_not_worth_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert said(monkeypatch, caplog, default=postgresql(11 * 2 * 8 + 1)) == []
    assert said(monkeypatch, caplog, default=postgresql(11 * 2 * 9 + 1), replica=postgresql(11 * 2 * 9 + 1)) == []


def test_with_a_replica_each_process_needs_one_more_to_both(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = said(monkeypatch, caplog, default=postgresql(198), replica=postgresql(198))
    for line, alias in zip(lines, ["default", "replica"], strict=True):
        assert f"11 pods x 2 workers x (8 threads + 1) may open 198 connections to the database '{alias}'" in line


def test_with_a_management_port_each_process_needs_one_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "connections", {"default": postgresql(99)})
    connections.check(pods=11, workers=1, threads=8, management=True)
    assert "11 pods x 1 workers x (8 threads + 1) may open 99 connections" in caplog.text


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("closed")])
def test_a_database_that_is_away_is_no_fault_of_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    [line] = said(monkeypatch, caplog, default=postgresql(0, error), replica=postgresql(10))
    assert "'replica'" in line


@pytest.mark.parametrize("vendor", ["sqlite", "unknown"])
def test_another_database_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, vendor: str
) -> None:
    database = MagicMock(vendor=vendor)
    assert said(monkeypatch, caplog, default=database) == []
    assert not database.cursor.called


def test_the_first_worker_of_a_server_asks_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = MagicMock()
    monkeypatch.setattr(threading, "Thread", thread)
    worker: Any = SimpleNamespace
    for age in (1, 2, 3):
        gunicorn_conf.post_worker_init(worker(age=age))
    numbers = [gunicorn_conf.pods, gunicorn_conf.workers, gunicorn_conf.threads, False]
    thread.assert_called_once_with(target=connections.check, args=numbers, daemon=True)
    thread().start.assert_called_once_with()
