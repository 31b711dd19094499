"""Connections to PostgreSQL that are kept; on SQLite these tests are not collected."""

import gc
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql import base

from common.database.postgresql import base as postgresql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def impatient() -> Iterator[Any]:
    """Another connection to the same database, whose statements have a second."""
    other = connection.copy()
    other.settings_dict = other.settings_dict | {"STATEMENT_TIMEOUT": 1}
    yield other
    other.close()


def test_a_connection_is_looked_at_without_asking_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", lambda self: pytest.fail("It was asked."))
    assert connection.is_usable()


def test_one_that_the_server_has_ended_is_replaced() -> None:
    connection.ensure_connection()
    ended = connection.connection
    with psycopg.connect(**connection.get_connection_params()) as other:
        # Returns when it has ended.
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [ended.info.backend_pid])
    assert not connection.is_usable()

    connection.close_if_unusable_or_obsolete()  # as at the start of each request
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert connection.connection is not ended


def test_one_on_which_the_server_has_said_something_else_is_asked() -> None:
    with connection.cursor() as cursor:
        cursor.execute("LISTEN thoughts")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("NOTIFY thoughts")
    assert connection.is_usable()


def test_one_that_was_closed_here_is_not_usable() -> None:
    connection.ensure_connection()
    connection.connection.close()
    assert not connection.is_usable()
    connection.close()


def test_one_that_a_server_does_not_answer_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = connection.copy()
        here = {"HOST": "127.0.0.1", "PORT": server.getsockname()[1], "OPTIONS": {"connect_timeout": 2}}
        monkeypatch.setattr(other, "settings_dict", other.settings_dict | here)
        gc.disable()
        try:
            with pytest.raises(OperationalError, match="timeout"):
                other.ensure_connection()
            client, _ = server.accept()
            with client:
                client.settimeout(1)
                while client.recv(1024):  # what it said first; then nothing, for it is closed
                    pass
        finally:
            gc.enable()


def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    impatient: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "HANGING", 60)
    impatient.ensure_connection()
    same = impatient.connection
    with pytest.raises(OperationalError, match="statement timeout"):
        impatient.cursor().execute("SELECT pg_sleep(60)")
    impatient.close_if_unusable_or_obsolete()  # as at the end of each request
    with impatient.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert impatient.connection is same


def test_one_that_the_server_does_not_end_is_given_up_with_its_connection(
    impatient: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "HANGING", 0)
    with impatient.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # so that it ends nothing, as one that hangs
    given_up = impatient.connection
    with pytest.raises(OperationalError, match="timeout"):
        impatient.cursor().execute("SELECT pg_sleep(3)")  # no longer: it goes on, in the way of other tests
    impatient.close_if_unusable_or_obsolete()
    assert given_up.closed
    with impatient.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_one_that_could_not_be_made_ready_is_closed(impatient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise psycopg.errors.QueryCanceled

    monkeypatch.setattr(impatient, "init_connection_state", fail)
    with pytest.raises(OperationalError):
        impatient.ensure_connection()
    assert impatient.connection is None


def test_the_options_of_its_address_are_kept_but_for_the_limit(impatient: Any) -> None:
    own = "-c geqo=off -c statement_timeout=9s"
    impatient.settings_dict["OPTIONS"] = impatient.settings_dict["OPTIONS"] | {"options": own}
    with impatient.cursor() as cursor:
        cursor.execute("SELECT current_setting('geqo'), current_setting('statement_timeout')")
        assert cursor.fetchone() == ("off", "1s")
