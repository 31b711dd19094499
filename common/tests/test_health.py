"""Test the probes with a mock of the database.

users_api and thoughts_api test the probes with a real database.
"""

import subprocess
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.test import Client
from pytest_django import Settings

from common.operations import health
from common.server import management


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a mock connection to a database with all migrations applied."""
    connection = MagicMock(vendor="postgresql", missing=[], accepts_connections=False)
    connection.executor.return_value.migration_plan = lambda targets: connection.missing
    monkeypatch.setattr(health, "connection", connection)
    monkeypatch.setattr(health, "MigrationExecutor", connection.executor)
    monkeypatch.setattr(health, "readiness", health.Readiness())
    monkeypatch.setattr(health, "accepts_connections", lambda: connection.accepts_connections)
    return connection


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_healthz_returns_the_version_and_commit(api: Client, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": "1.2.3", "commit": "0123abc"}


@pytest.mark.parametrize("path", ["/readyz", "/readyz/"])
def test_readyz_is_200_without_a_database(api: Client, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probe_accepts_any_host_header(api: Client, path: str) -> None:
    # Kubernetes sends the IP address of the pod as the Host header.
    assert api.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert api.get(path, headers={"Host": "users_api"}).status_code == 200
    assert api.head(path).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nowhere"])
def test_probe_has_security_headers_on_both_ports(api: Client, settings: Settings, path: str) -> None:
    management_headers: list[tuple[str, str]] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path}
    management.application(environ, lambda status, headers: management_headers.extend(headers))
    found = [dict(management_headers)]
    if path in health.PATHS:
        found.append(dict(api.get(path).headers))
    for headers in found:
        assert headers["Content-Security-Policy"] == settings.CONTENT_SECURITY_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_readyz_is_503_until_the_migrations_are_applied(api: Client, database: Any) -> None:
    database.missing = ["0001_initial"]
    assert api.get("/readyz").status_code == 503
    assert api.get("/readyz").json() == {"status": "migrations are not applied"}
    # The process itself is healthy, so Kubernetes must not restart it.
    assert api.get("/healthz").status_code == 200

    database.missing = []
    assert api.get("/readyz").status_code == 200


def test_applied_migrations_are_not_checked_again(api: Client, database: Any) -> None:
    for _ in range(5):
        assert api.get("/readyz").status_code == 200
    assert database.executor.call_count == 1
    # Every readiness check still queries the database.
    assert database.cursor.call_count == 5


ERRORS = [OperationalError("unreachable"), InterfaceError("closed"), DatabaseError("broken")]


@pytest.mark.parametrize("error", ERRORS)
def test_readyz_is_503_if_the_database_was_never_reachable(api: Client, database: Any, error: Exception) -> None:
    database.cursor.side_effect = error
    response = api.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "the database cannot be reached"}
    assert api.get("/healthz").status_code == 200

    database.cursor.side_effect = None
    assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("error", ERRORS)
def test_ready_pod_stays_ready_during_a_database_outage(api: Client, database: Any, error: Exception) -> None:
    assert api.get("/readyz").status_code == 200
    database.cursor.side_effect = error
    assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("error", ERRORS)
def test_pod_is_not_ready_if_only_its_own_connections_fail(api: Client, database: Any, error: Exception) -> None:
    assert api.get("/readyz").status_code == 200
    database.accepts_connections = True
    execute = database.cursor.return_value.__enter__.return_value.execute
    execute.side_effect = error
    response = api.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "the database accepts connections, but not from this process"}

    execute.side_effect = None
    assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("error", ERRORS)
def test_pod_stays_ready_if_the_database_starts_during_a_check(api: Client, database: Any, error: Exception) -> None:
    assert api.get("/readyz").status_code == 200
    database.accepts_connections = True
    database.cursor.side_effect = [error, database.cursor.return_value]
    assert api.get("/readyz").status_code == 200


def test_server_without_an_answer_accepts_no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = MagicMock(vendor="postgresql")
    connection.get_connection_params.return_value = {"host": "127.0.0.1"}
    monkeypatch.setattr(health, "connection", connection)
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=subprocess.TimeoutExpired("ping", 10)))
    assert not health.accepts_connections()


def test_probe_releases_its_connection(api: Client, database: Any) -> None:
    api.get("/readyz")
    database.cursor.side_effect = OperationalError("unreachable")
    api.get("/readyz")
    assert database.close_if_unusable_or_obsolete.call_count == 2


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/metrics/"])
def test_probes_and_metrics_are_404_through_a_proxy(api: Client, path: str) -> None:
    assert api.get(path, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/metrics/"])
def test_management_port_removes_probes_and_metrics_from_the_public_port(
    api: Client, path: str, settings: Settings
) -> None:
    settings.MANAGEMENT_PORT = 9000
    assert api.get(path).status_code == 404
