"""Test error tracking with Sentry.

The tests check that error tracking is off by default, sends only allowed keys, and does not delay requests. `Server`
acts as Sentry's server. The application runs in another process, because the SDK has global state.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from common import sentry
from common import settings as common
from common.settings import ROOT
from common.tests.sentry_server import Server

CANARY = "canary5b1f"
# Sends requests to the application, then logs records with and without an exception.
CODE = f"""
import logging, sys
from io import BytesIO
from wsgiref.util import setup_testing_defaults
from common.http.wsgi import get_wsgi_application

application = get_wsgi_application()
print(sum(name.startswith("sentry_sdk") for name in sys.modules))
if "sentry_sdk" in sys.modules:
    print(*sys.modules["sentry_sdk"].get_client().integrations)
for path in ("/boom/", "/raise/timeout/", "/raise/503/", "/refuse/BadRequest/", "/raise/outside/", "/nothing/"):
    body = b"text={CANARY}&password={CANARY}"
    environ = dict(
        REQUEST_METHOD="POST" if path == "/boom/" else "GET", PATH_INFO=path, QUERY_STRING="search={CANARY}",
        CONTENT_TYPE="application/x-www-form-urlencoded", CONTENT_LENGTH=str(len(body)), HTTP_HOST="127.0.0.1",
        HTTP_AUTHORIZATION="Bearer {CANARY}", HTTP_COOKIE="session={CANARY}", HTTP_X_TEST="{CANARY}",
        HTTP_X_REQUEST_ID="0123456789abcdef0123456789abcdef", REMOTE_ADDR="203.0.113.7", REMOTE_USER="{CANARY}",
    )
    environ["wsgi.input"] = BytesIO(body)
    setup_testing_defaults(environ)
    response = application(environ, lambda status, headers: print(path, status))
    response.close()
logger = logging.getLogger("x")
logger.error("{CANARY}")
logger.error("%s", "{CANARY}", extra={{"status_code": 503}})
try:
    password = "{CANARY}"
    try:
        {{}}["{CANARY}"]
    except KeyError as error:
        raise RuntimeError("{CANARY}") from error
except RuntimeError:
    logger.exception("{CANARY}")
assert "common.http.faults" not in sys.modules  # FAULTS is off
print("done", flush=True)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.answering.set()
        server.shutdown()


def run(dsn: str) -> "subprocess.CompletedProcess[str]":
    """Run `CODE` with this SENTRY_DSN."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "common.tests.settings", "SENTRY_DSN": dsn}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_is_imported_or_sent_without_a_dsn() -> None:
    done = run("")
    assert done.stdout.startswith("0\n")
    assert done.stdout.endswith("done\n"), done.stderr


def test_event_contains_only_allowed_keys_and_no_private_data(server: Server) -> None:
    server.answering.set()
    done = run(server.dsn)
    assert done.stdout.endswith("done\n"), done.stderr
    assert done.stdout.splitlines()[1] == "atexit"  # the SDK's only integration
    assert "/boom/ 500 Internal Server Error" in done.stdout
    # The other requests and the records without an exception cause no events.
    boom, logged = server.events()
    identifier = "0123456789abcdef0123456789abcdef"
    assert boom["tags"] == {
        "service": "common",
        "method": "POST",
        "route": "/boom/",
        "status": "500",
        "request_id": identifier,
        "trace_id": identifier,
    }
    assert (boom["transaction"], boom["release"], boom["environment"]) == ("POST /boom/", "1.2.3", "tests")
    [error] = boom["exception"]["values"]
    assert error["type"] == "RuntimeError"
    frame = error["stacktrace"]["frames"][-1]
    assert (frame["filename"], frame["function"]) == ("common/tests/urls.py", "boom")
    assert [each["type"] for each in logged["exception"]["values"]] == ["KeyError", "RuntimeError"]
    assert logged["tags"]["service"] == "common"
    for event in (boom, logged):
        assert event.keys() <= {*sentry.EVENT, "transaction", "tags", "exception"}
        for value in event["exception"]["values"]:
            assert value.keys() <= {*sentry.EXCEPTION, "stacktrace"}
            for each in value["stacktrace"]["frames"]:
                assert each.keys() <= {*sentry.FRAME}
                assert not each["filename"].startswith("/")
    sent = b"".join(server.bodies) + "".join(server.heads).encode()
    for private in (CANARY, "a fault of ours", "203.0.113", "127.0.0.0", str(ROOT)):
        assert private.encode() not in sent


def test_unresponsive_sentry_blocks_neither_requests_nor_shutdown(server: Server) -> None:
    done = run(server.dsn)  # the server does not answer
    assert done.stdout.endswith("done\n"), done.stderr
    assert done.returncode == 0
    assert server.bodies


@pytest.mark.parametrize(
    "dsn",
    [
        *("key", "https://sentry.example.com/1", "ftp://key@sentry.example.com/1", "https://key@x/"),
        *("https://key@[x/1", "https://key@x:port/1", "https://key@x:65536/1"),
    ],
)
def test_invalid_dsn_aborts_startup_with_a_one_line_message(dsn: str) -> None:
    done = run(dsn)
    assert done.returncode == 1
    assert done.stderr == "Invalid environment. SENTRY_DSN: not a DSN such as https://key@sentry.example.com/1\n"


def test_missing_package_aborts_startup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(SystemExit, match=r"^Invalid environment\. SENTRY_DSN: the packages in"):
        sentry.start("https://key@sentry.example.com/1", "production", "web", "1")


def test_key_that_a_new_version_of_the_sdk_adds_is_not_sent() -> None:
    frame = {"filename": f"/home/{CANARY}/x.py", "function": "f", "vars": {"x": CANARY}, "new": CANARY}
    value = {"type": "ValueError", "value": CANARY, "new": CANARY, "stacktrace": {"frames": [frame], "new": CANARY}}
    event = {
        "event_id": "1",
        "server_name": CANARY,
        "user": CANARY,
        "new": CANARY,
        "tags": {"status": "500", "new": CANARY},
        "exception": {"values": [value], "new": CANARY},
    }
    frames = {"stacktrace": {"frames": [{"filename": "x.py", "function": "f"}]}}
    expected = {"event_id": "1", "tags": {"status": "500"}, "exception": {"values": [{"type": "ValueError", **frames}]}}
    assert sentry.allowed(event, {}) == expected


def test_logging_has_the_handler_only_with_a_dsn() -> None:
    assert common.logging(logging.INFO)["root"]["handlers"] == ["stderr"]
    enabled = common.logging(logging.INFO, sentry=True)
    assert enabled["root"]["handlers"] == ["stderr", "sentry"]
    assert enabled["handlers"]["sentry"]["filters"] == ["request_id", "client_faults"]
