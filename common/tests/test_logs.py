"""Log lines as JSON, and the events."""

import itertools
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from gunicorn.config import Config

from common import events, logs
from common.events import Event
from common.logs import LOG_FIELDS
from common.registry import REGISTRY
from common.server import management
from common.server.logger import QuietLogger
from common.tests import signing
from common.tokens import keys

CANARY = "canary-5b1f"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return a function that returns Django's log lines, parsed from JSON."""
    handlers = [each for each in logging.getLogger().handlers if each.get_name() == "stderr"]
    assert isinstance(handlers[0], logging.StreamHandler)
    stream = StringIO()
    before, formatter = handlers[0].setStream(stream), handlers[0].formatter
    handlers[0].setFormatter(logs.formatter("json"))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    handlers[0].setStream(before)
    handlers[0].setFormatter(formatter)


def access_line(capsys: pytest.CaptureFixture[str], environ: dict[str, Any]) -> dict[str, Any]:
    """Return the line that a request adds to the access log, parsed from JSON."""
    request = SimpleNamespace(path="/x", headers=[("AUTHORIZATION", CANARY)])
    response: Any = SimpleNamespace(status="200 OK", sent=17, headers=[])
    config = Config()
    config.set("accesslog", "-")
    QuietLogger(config).access(response, request, environ, timedelta(microseconds=5_049))
    line: dict[str, Any] = json.loads(capsys.readouterr().out)
    return line


def test_line_has_time_level_request_and_trace(api: Client, lines: Lines) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"X-Request-ID": "abc", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    api.get("/nothing/", headers=headers, REMOTE_ADDR="192.0.2.77")
    [line] = lines()
    assert abs(datetime.fromisoformat(line.pop("time")) - datetime.now(UTC)) < timedelta(minutes=1)
    assert line == {
        "level": "WARNING",
        "logger": "django.request",
        "message": "Not Found",
        "request_id": "abc",
        "trace_id": trace,
        "network": "192.0.2.0/24",
        "route": "unknown",
    }


def test_line_has_the_account_of_a_token(api: Client, lines: Lines) -> None:
    api.get("/staff/", headers={"Authorization": f"Bearer {signing.token(user_id=7)}"})
    refused = next(line for line in lines() if line.get("event"))
    assert (refused["event"], refused["status"], refused["account"]) == ("access.refused", 403, 7)


def test_line_of_a_server_error_has_the_route_and_the_traceback(api: Client, lines: Lines) -> None:
    api.get("/boom/")
    line = lines()[-1]
    assert (line["message"], line["route"]) == ("Internal Server Error", "/boom/")
    *_, frame, error = line["exc_info"].splitlines()
    assert re.fullmatch(r'  File ".*/common/tests/urls\.py", line \d+, in boom', frame)
    assert error == "RuntimeError"  # without the message


def test_traceback_has_no_messages_of_chained_and_grouped_exceptions(lines: Lines) -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            error.add_note(CANARY)
            raise ExceptionGroup(CANARY, [ValueError(f"password={CANARY}"), OSError(CANARY)]) from error
    except ExceptionGroup:
        logging.getLogger("x").exception("It failed.")
    [line] = lines()
    texts = line["exc_info"].splitlines()
    assert texts[0] == "Traceback (most recent call last):"
    classes = [text for text in texts if not text.strip().startswith(("Traceback", "File"))]
    assert classes == ["KeyError", "ExceptionGroup", "  1 of 2:", "    ValueError", "  2 of 2:", "    OSError"]
    assert CANARY not in str(line)


def test_traceback_of_exceptions_that_refer_to_each_other_ends(lines: Lines) -> None:
    first, second = ValueError(), TypeError()
    group = ExceptionGroup("", [first])
    first.__context__, second.__context__ = second, group
    group.__context__ = first
    logging.getLogger("x").error("It failed.", exc_info=first)
    logging.getLogger("x").error("It failed.", exc_info=group)
    assert [line["exc_info"].splitlines()[-1].strip() for line in lines()] == ["ValueError", "ValueError"]


def test_traceback_of_a_recursion_is_short(lines: Lines) -> None:
    def recurse() -> None:
        recurse()

    try:
        recurse()
    except RecursionError:
        logging.getLogger("x").exception("It failed.")
    assert len(lines()[0]["exc_info"].splitlines()) < 20


@pytest.mark.parametrize(
    ("path", "message", "route"),
    [
        (f"/{CANARY}", "Not Found", "unknown"),
        (f"/items/{CANARY}/", "Not Found", "unknown"),
        (f"/refuse/PermissionDenied/?{CANARY}", "Forbidden", "/refuse/<str:name>/"),
        (f"/refuse/SuspiciousOperation/?{CANARY}", "Bad Request", "/refuse/<str:name>/"),
        (f"/raise/{CANARY}/", "Internal Server Error", "/raise/<str:name>/"),
        ("/raise/timeout/", "Service Unavailable", "/raise/<str:name>/"),
    ],
)
def test_line_has_the_route_instead_of_the_path(api: Client, lines: Lines, path: str, message: str, route: str) -> None:
    api.get(path)
    line = lines()[-1]
    assert (line["message"], line["route"]) == (message, route)
    assert CANARY not in str(lines())
    assert "of the client" not in str(lines())  # part of the exception's message


def test_line_of_a_client_error_has_the_class_of_the_exception(api: Client, lines: Lines) -> None:
    api.get("/open/", headers={"Host": f"{CANARY}.example"})
    [line] = lines()
    assert (line["logger"], line["message"]) == ("django.security.DisallowedHost", "Bad Request")
    assert line["reason"] == "DisallowedHost"
    assert CANARY not in str(line)


def test_request_id_is_the_trace_id_if_there_is_no_trace_context(api: Client, lines: Lines) -> None:
    api.get("/nothing/")
    assert lines()[0]["trace_id"] == lines()[0]["request_id"]


def test_all_services_derive_the_same_trace_id_from_a_request_id(api: Client, lines: Lines) -> None:
    for given in ("abc", "abc", "abd"):
        api.get("/nothing/", headers={"X-Request-ID": given})
    first, second, other = (line["trace_id"] for line in lines())
    assert first == second
    assert first != other
    assert re.fullmatch("[0-9a-f]{32}", first)


def test_a_request_does_not_inherit_the_account_of_the_previous_request(api: Client, lines: Lines) -> None:
    api.get("/me/", headers={"Authorization": f"Bearer {signing.token(user_id=7)}"})
    api.get("/nothing/")
    assert "account" not in lines()[-1]


def test_access_line_has_the_log_fields(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    fields = {"request_id": "abc", "trace_id": "def", "network": "192.0.2.0/24", "account": 7, "route": "/x/<int:id>/"}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x/1/", "QUERY_STRING": CANARY, LOG_FIELDS: fields}
    line = access_line(capsys, environ)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "gunicorn.access",
        "message": "request",
        "method": "GET",
        "status": 200,
        "bytes": 17,
        "duration_ms": 5.0,
        **fields,
    }


def test_access_line_of_a_malformed_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    line = access_line(capsys, {})
    assert (line["method"], line["route"], line["status"]) == ("-", "unknown", 200)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_refused_request_is_logged_with_its_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    monkeypatch.setenv("LOG_FORMAT", log_format)
    QuietLogger(Config()).refused(f"GET /{CANARY}", 431, "Request Header Fields Too Large", "192.0.2.77")
    log = capsys.readouterr().err
    if log_format == "text":
        assert log.endswith(f"Refused GET /{CANARY} from 192.0.2.0/24: 431 Request Header Fields Too Large\n")
        return
    line = json.loads(log)
    assert (line["status"], line["route"], line["network"]) == (431, "unknown", "192.0.2.0/24")
    assert line["message"] == "Refused a request from 192.0.2.0/24: 431 Request Header Fields Too Large"


def test_invalid_request_is_logged_with_its_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    QuietLogger(Config()).warning("Invalid request from ip=2001:db8::1: Invalid HTTP Header: 'canary-5b1f'")
    line = json.loads(capsys.readouterr().err)
    assert (line["message"], line["network"]) == (
        "Invalid request from 2001:db8::/48: Invalid HTTP Header",
        "2001:db8::/48",
    )


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_uri_of_a_failed_request_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    monkeypatch.setenv("LOG_FORMAT", log_format)
    QuietLogger(Config()).exception("Error handling request %s %s", "GET", f"/?search={CANARY}")
    log = capsys.readouterr().err
    assert "Error handling request" in log
    assert CANARY not in log


def test_failed_request_to_the_management_port_is_logged_without_the_address(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    with management._Server(("127.0.0.1", 0), management._Handler) as server:
        try:
            raise ConnectionResetError(CANARY)
        except ConnectionResetError:
            server.handle_error(None, ("192.0.2.77", 4001))
    [line] = lines()
    assert line["exc_info"].splitlines()[-1] == "ConnectionResetError"
    assert capsys.readouterr().err == ""


def test_unknown_attributes_are_not_written() -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "x", "request": CANARY, "status": 200})
    assert json.loads(logs.formatter("json").format(record)).keys() == {"time", "level", "logger", "message", "status"}


def test_line_breaks_are_escaped() -> None:
    record = logging.makeLogRecord({"msg": "one\ntwo", "request_id": "-"})
    assert len(logs.formatter("json").format(record).splitlines()) == 1


def test_event_is_counted_and_logged(lines: Lines) -> None:
    labels = {"event": "login.failed"}
    before = REGISTRY.get_sample_value("security_events_total", labels) or 0
    events.record(Event.LOGIN_FAILED, target=3)
    assert REGISTRY.get_sample_value("security_events_total", labels) == before + 1
    [line] = lines()
    assert (line["event"], line["target"], line["message"]) == ("login.failed", 3, "login.failed target=3")


def test_replaced_keys_are_an_event(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    now = itertools.count(step=1000.0)
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: next(now)))
    sets = [signing.jwks("ours"), signing.jwks("ours"), signing.jwks("ours", "theirs")]
    key_set = keys.KeySet(lambda: sets.pop(0))
    for _ in range(3):  # a call with an unknown key reloads the key set
        with pytest.raises(keys.UnknownKey):
            key_set.find("unknown")
    assert [line["event"] for line in lines()] == ["keys.replaced"]


def test_traceback_contains_both_of_two_equal_exceptions() -> None:
    try:
        raise ValidationError("a") from ValidationError("a")
    except ValidationError:
        text = logs.JSONFormatter().formatException(sys.exc_info())
    assert text.count("django.core.exceptions.ValidationError") == 2
