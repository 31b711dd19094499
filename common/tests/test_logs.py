"""Log lines as JSON, and the events."""

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from gunicorn.config import Config

from common import events, logs
from common.events import Event
from common.logs import LOG_FIELDS
from common.registry import REGISTRY
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
        "message": "Not Found: /nothing/",
        "request_id": "abc",
        "trace_id": trace,
        "network": "192.0.2.0/24",
        "route": "unknown",
    }


def test_line_has_the_account_of_a_token(api: Client, lines: Lines) -> None:
    api.get("/staff/", headers={"Authorization": f"Bearer {signing.token(user_id=7)}"})
    refused = next(line for line in lines() if line.get("event"))
    assert (refused["event"], refused["status"], refused["account"]) == ("access.refused", 403, 7)


def test_line_has_the_traceback(api: Client, lines: Lines) -> None:
    api.get("/boom/")
    assert "RuntimeError: a fault of ours" in lines()[-1]["exc_info"]


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
