"""Test persistent connections to PostgreSQL.

conftest.py excludes this file on SQLite.
"""

import gc
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.postgresql import base

from common.api.errors import reason
from common.database.postgresql import base as postgresql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def short_timeout() -> Iterator[Any]:
    """Return another connection, with a statement timeout of one second."""
    other = connection.copy()
    other.settings_dict = other.settings_dict | {"STATEMENT_TIMEOUT": 1}
    yield other
    other.close()


def test_health_check_sends_no_query(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", lambda self: pytest.fail("A query was sent."))
    assert connection.is_usable()


def test_connection_closed_by_the_server_is_replaced() -> None:
    connection.ensure_connection()
    closed = connection.connection
    with psycopg.connect(**connection.get_connection_params()) as other:
        # This statement waits up to 10 s for the server to close the connection.
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [closed.info.backend_pid])
    assert not connection.is_usable()

    connection.close_if_unusable_or_obsolete()  # Django does this at the start of each request
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert connection.connection is not closed


def test_connection_with_an_unread_notification_is_usable() -> None:
    with connection.cursor() as cursor:
        cursor.execute("LISTEN thoughts")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("NOTIFY thoughts")
    assert connection.is_usable()


def test_reason_of_a_database_error_does_not_quote_the_query() -> None:
    with pytest.raises(DatabaseError, match="my illness") as raised, connection.cursor() as cursor:
        cursor.execute("SELECT %s::int", ["my illness"])
    assert reason(raised.value) == "InvalidTextRepresentation (SQLSTATE 22P02)"


def test_connection_closed_by_the_client_is_not_usable() -> None:
    connection.ensure_connection()
    connection.connection.close()
    assert not connection.is_usable()
    connection.close()


def test_connection_that_times_out_while_opening_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = connection.copy()
        here = {"HOST": "127.0.0.1", "PORT": server.getsockname()[1], "OPTIONS": {"connect_timeout": 2}}
        monkeypatch.setattr(other, "settings_dict", other.settings_dict | here)
        gc.disable()  # garbage collection would close a leaked connection and hide the leak
        try:
            with pytest.raises(OperationalError, match="timeout"):
                other.ensure_connection()
            client, _ = server.accept()
            with client:
                client.settimeout(1)
                while client.recv(1024):  # returns b"" once the client has closed the connection
                    pass
        finally:
            gc.enable()


def test_statement_timeout_keeps_the_connection(short_timeout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "HANGING", 60)
    short_timeout.ensure_connection()
    same = short_timeout.connection
    with pytest.raises(OperationalError, match="statement timeout") as raised:
        short_timeout.cursor().execute("SELECT pg_sleep(60)")
    assert reason(raised.value) == "QueryCanceled (SQLSTATE 57014)"
    short_timeout.close_if_unusable_or_obsolete()  # Django does this at the end of each request
    with short_timeout.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert short_timeout.connection is same


def test_connection_is_closed_if_the_server_does_not_cancel_a_statement(
    short_timeout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "HANGING", 0)
    with short_timeout.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # the server no longer cancels slow statements
    abandoned = short_timeout.connection
    with pytest.raises(OperationalError, match="timeout"):
        short_timeout.cursor().execute("SELECT pg_sleep(3)")  # short, because the server still runs it to completion
    short_timeout.close_if_unusable_or_obsolete()
    assert abandoned.closed
    with short_timeout.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_connection_that_fails_to_initialize_is_closed(short_timeout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise psycopg.errors.QueryCanceled

    monkeypatch.setattr(short_timeout, "init_connection_state", fail)
    with pytest.raises(OperationalError):
        short_timeout.ensure_connection()
    assert short_timeout.connection is None


def test_statement_timeout_keeps_other_connection_options(short_timeout: Any) -> None:
    own = "-c geqo=off -c statement_timeout=9s"
    short_timeout.settings_dict["OPTIONS"] = short_timeout.settings_dict["OPTIONS"] | {"options": own}
    with short_timeout.cursor() as cursor:
        cursor.execute("SELECT current_setting('geqo'), current_setting('statement_timeout')")
        assert cursor.fetchone() == ("off", "1s")
