"""Test that client errors are logged on one line, without a traceback.

Server errors are logged with a traceback.
"""

import logging
import re
from collections.abc import Iterator
from io import StringIO

import pytest
from django.test import Client


class WithoutTime(StringIO):
    """Text stream that checks and removes the time at the start of each log record."""

    def write(self, text: str) -> int:
        """Write a log record."""
        time, _, rest = text.partition(" ")
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", time)
        return super().write(rest)


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Return the log that the process would write to stderr, without times."""
    handlers = [each for each in logging.getLogger().handlers if each.get_name() == "stderr"]
    assert isinstance(handlers[0], logging.StreamHandler)
    stream = WithoutTime()
    before = handlers[0].setStream(stream)
    yield stream
    handlers[0].setStream(before)


def without_events(log: StringIO) -> list[str]:
    """Return the lines of the log, except those of `common.events`."""
    return [line for line in log.getvalue().splitlines() if not line.startswith("INFO events ")]


@pytest.mark.parametrize(
    "name",
    [
        "BadRequest", "DisallowedHost", "DisallowedRedirect", "Http404", "MultiPartParserError", "PermissionDenied",
        "RequestDataTooBig", "SuspiciousOperation", "TooManyFieldsSent", "TooManyFilesSent",
    ],
)  # fmt: skip
def test_client_error_is_logged_as_one_warning(api: Client, log: StringIO, name: str) -> None:
    assert 400 <= api.get(f"/refuse/{name}/").status_code < 500
    [line] = without_events(log)
    assert line.startswith("WARNING django.")


def test_unknown_host_is_logged_as_one_warning(api: Client, log: StringIO) -> None:
    assert api.get("/open/", headers={"Host": "evil.example"}).status_code == 400
    [line] = log.getvalue().splitlines()
    assert line.startswith("WARNING django.security.DisallowedHost")
    assert "'evil.example'" in line


@pytest.mark.parametrize("path", ["/nothing/", "/me/", "/raise/403/", "/raise/429/", "/raise/field/"])
def test_refused_api_request_is_logged_as_one_warning(api: Client, log: StringIO, path: str) -> None:
    assert 400 <= api.get(path).status_code < 500
    [line] = without_events(log)
    assert line.startswith("WARNING django.request")


@pytest.mark.parametrize("path", ["/raise/timeout/", "/raise/outside/"])
def test_unavailable_database_logs_the_reason_and_the_response(api: Client, log: StringIO, path: str) -> None:
    assert api.get(path).status_code == 503
    reason, answer = log.getvalue().splitlines()
    assert reason.startswith("WARNING common.api.errors")
    assert reason.endswith("canceling statement due to statement timeout")
    assert answer.startswith("ERROR django.request")
    assert answer.endswith(f"Service Unavailable: {path}")


@pytest.mark.parametrize("path", ["/boom/", "/raise/fault/"])
def test_server_error_is_logged_with_its_traceback(api: Client, log: StringIO, path: str) -> None:
    assert api.get(path).status_code == 500
    assert log.getvalue().startswith("ERROR django.request")
    assert "Traceback" in log.getvalue()
    assert "RuntimeError: a fault of ours" in log.getvalue()
