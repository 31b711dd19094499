"""Test the private parts of libraries that the `_compat.py` files use."""

import inspect
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import environs
import psycopg
import pytest
from gunicorn import util
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine
from gunicorn.workers.base import Worker
from psycopg import errors

from common.database._compat import limit_waits
from common.server import _compat
from common.server.errors import write_error


@pytest.fixture
def worker() -> Any:
    """Return a mock worker with the attributes that `Worker.handle_error` needs."""
    return SimpleNamespace(log=MagicMock(), cfg=Config())


def test_gunicorn_calls_our_function_to_send_errors(monkeypatch: pytest.MonkeyPatch, worker: Any) -> None:
    monkeypatch.setattr(util, "write_error", None)
    _compat.set_error_writer(write_error)
    assert list(inspect.signature(write_error).parameters) == ["sock", "status_int", "reason", "mesg"]
    client = MagicMock()
    Worker.handle_error(worker, None, client, ("192.0.2.1", 1), InvalidRequestLine("GET /?search=secret"))
    [sent] = client.sendall.call_args.args
    assert sent.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n")


def test_quoted_request_is_removed_from_a_gunicorn_log_message(worker: Any) -> None:
    Worker.handle_error(worker, None, MagicMock(), ("192.0.2.1", 1), InvalidRequestLine("GET /?search=secret"))
    [message] = worker.log.warning.call_args.args
    assert "secret" in message
    assert _compat.invalid_request(message) == ("192.0.2.1", "Invalid HTTP request line")
    Worker.handle_error(worker, None, MagicMock(), ("2001:db8::1", 1), InvalidHeader("Authorization secret"))
    assert _compat.invalid_request(worker.log.warning.call_args.args[0]) == ("2001:db8::1", "Invalid HTTP Header")


def test_uri_of_a_request_is_removed_from_a_gunicorn_log_message(worker: Any) -> None:
    request = MagicMock(method="GET", uri="/?search=secret", headers=[])
    Worker.handle_error(worker, request, MagicMock(), ("192.0.2.1", 1), RuntimeError())
    message, *arguments = worker.log.exception.call_args.args
    assert "/?search=secret" in arguments
    assert _compat.without_target(message) == "Error handling request"


def test_psycopg_waits_for_a_query_with_our_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = MagicMock()
    connection = MagicMock(wait=wait)
    limit_waits(connection, 1.5)
    psycopg.Cursor(connection).execute("SELECT 1")
    assert wait.call_args.kwargs == {"timeout": 1.5}
    assert "timeout" in inspect.signature(psycopg.Connection.wait).parameters
    assert issubclass(errors._WaitTimeout, psycopg.OperationalError)


def test_environs_raises_value_error_for_an_unreadable_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "missing")
    env = environs.FileAwareEnv(eager=False)
    with pytest.raises(ValueError, match="SECRET_KEY_FILE"):
        env.str("SECRET_KEY")
    with pytest.raises(ValueError, match="SECRET_KEY_FILE"):
        env._get_value("SECRET_KEY", None)
