"""Probes where a project has no database; users_api and thoughts_api test readiness with theirs."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.test import Client

from common import health


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database that answers, and whose migrations are applied."""
    connection = MagicMock(vendor="postgresql", missing=[])
    connection.executor.return_value.migration_plan = lambda targets: connection.missing
    monkeypatch.setattr(health, "connection", connection)
    monkeypatch.setattr(health, "MigrationExecutor", connection.executor)
    return connection


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_healthz_says_which_version_runs(api: Client, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": "1.2.3", "commit": "0123abc"}


@pytest.mark.parametrize("path", ["/readyz", "/readyz/"])
def test_readyz_without_a_database_hangs_on_nothing(api: Client, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_probe_is_answered_whatever_host_it_names(api: Client, path: str) -> None:
    # A kubelet names the pod by its address.
    assert api.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert api.get(path, headers={"Host": "users_api"}).status_code == 200
    assert api.head(path).status_code == 200


def test_readyz_is_503_until_the_migrations_are_applied(api: Client, database: Any) -> None:
    database.missing = ["0001_initial"]
    assert api.get("/readyz").status_code == 503
    assert api.get("/readyz").json() == {"status": "migrations are not applied"}
    # The process answers all the same.
    assert api.get("/healthz").status_code == 200

    database.missing = []
    assert api.get("/readyz").status_code == 200


def test_applied_migrations_are_not_looked_at_again(api: Client, database: Any) -> None:
    for _ in range(5):
        assert api.get("/readyz").status_code == 200
    assert database.executor.call_count == 1
    # But the database is asked each time.
    assert database.cursor.call_count == 5


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("closed"), DatabaseError("broken")])
def test_readyz_is_503_while_the_database_is_away(api: Client, database: Any, error: Exception) -> None:
    database.cursor.side_effect = error
    response = api.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "the database does not answer"}
    assert api.get("/healthz").status_code == 200

    database.cursor.side_effect = None
    assert api.get("/readyz").status_code == 200


def test_readyz_is_503_when_a_connection_that_was_open_is_dead(api: Client, database: Any) -> None:
    assert api.get("/readyz").status_code == 200
    execute = database.cursor.return_value.__enter__.return_value.execute
    execute.side_effect = OperationalError("server closed the connection")
    assert api.get("/readyz").status_code == 503


def test_a_probe_gives_its_connection_back(api: Client, database: Any) -> None:
    api.get("/readyz")
    database.cursor.side_effect = OperationalError("away")
    api.get("/readyz")
    assert database.close_if_unusable_or_obsolete.call_count == 2


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/metrics/"])
def test_an_ingress_finds_no_probe_and_no_metrics(api: Client, path: str) -> None:
    assert api.get(path, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404
