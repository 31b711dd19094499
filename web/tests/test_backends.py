"""Test calls to the APIs: connections, timeouts, retries and errors."""

import contextlib
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from common.http import request_id
from common.registry import REGISTRY
from web.backends import http, thoughts, users
from web.backends.exceptions import (
    BackendError,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unanswered,
    Unavailable,
)
from web.tests.conftest import CREATE, LOGIN, LOGOUT, MINE, REFRESH, SEARCH, SESSION_COOKIE, Backend, thought

DELETE = ("DELETE", "/api/me/thoughts/1/")
CLIENT = {"X-Forwarded-For": "192.0.2.1", "User-Agent": "Firefox"}


def test_100_calls_share_one_connection(backend: Backend) -> None:
    for _ in range(50):
        thoughts.search("a", {})
        thoughts.create("Bearer x", "text")
    assert len(backend.received) == 100
    assert backend.connections == 1


def test_concurrent_calls_reuse_their_connections(backend: Backend) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: thoughts.mine("Bearer x", {}), range(200)))
    assert backend.connections <= 8


def test_list_is_requested_in_pages_newest_first(backend: Backend) -> None:
    thoughts.search("100% <b>&x=1", {"after": "7"})
    assert backend.received[0].query == {
        "search": ["100% <b>&x=1"], "limit": ["20"], "ordering": ["-id"], "after": ["7"]
    }  # fmt: skip


def test_next_and_previous_page_are_read_from_the_link_header(backend: Backend) -> None:
    link = '<http://other.host/api/thoughts/?after=5&limit=20>; rel="next", </x?before=9&ordering=-id>; rel="prev"'
    backend.answer(SEARCH, 200, [thought(5)], Link=link)
    page = thoughts.search("", {})
    assert (page.next, page.previous) == ({"after": "5"}, {"before": "9"})
    assert [each.id for each in page.thoughts] == [5]


def test_the_request_id_and_the_trace_context_are_passed_on(backend: Backend) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request_id.begin(RequestFactory().get("/", headers={"X-Request-ID": "abc-1", "traceparent": trace}))
    thoughts.search("", {})
    headers = backend.received[0].headers
    assert (headers["x-request-id"], headers["traceparent"]) == ("abc-1", trace)


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (400, "refused"), (429, "refused"), (500, "unavailable")])
def test_call_is_counted_by_service_and_outcome(backend: Backend, status: int, outcome: str) -> None:
    def count() -> float:
        labels = {"service": "thoughts-api", "outcome": outcome}
        return REGISTRY.get_sample_value("backend_call_duration_seconds_count", labels) or 0

    before = count()
    backend.answer(SEARCH, status, [] if status == 200 else {"message": "x", "errors": {}})
    with contextlib.suppress(BackendError):
        thoughts.search("", {})
    assert count() == before + 1


def test_token_is_sent_only_where_required(backend: Backend) -> None:
    thoughts.mine("Bearer x", {})
    thoughts.search("", {})
    users.refresh("r", CLIENT)
    assert [each.headers.get("authorization") for each in backend.received] == ["Bearer x", None, None]


def test_cookies_set_by_an_api_are_not_stored(backend: Backend) -> None:
    backend.answer(SEARCH, 200, [], Set_Cookie="a=b; Path=/")
    thoughts.search("", {})
    thoughts.search("", {})
    assert "cookie" not in backend.received[1].headers


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"message": "text: Too long.", "errors": {"text": ["Too long."]}}, InvalidInput),
        (401, {"message": "The token is not valid."}, NotAuthenticated),
        (404, {"message": "Nothing."}, NotFound),
        (413, {"message": "The body is larger than 64 KiB."}, InvalidInput),
        (414, b"<html>", InvalidInput),
        (429, {"message": "Too fast."}, TooManyRequests),
        (429, b"<html>", TooManyRequests),
        (400, b"<html>Bad request of a proxy", Unavailable),
        (401, b"", Unavailable),
        (404, b"<html>No route", Unavailable),
        (403, {"message": "No."}, Forbidden),
        (500, {"message": "Something went wrong on our side."}, Unavailable),
        (502, b"<html>", Unavailable),
        (503, {"message": "Unavailable."}, Unavailable),
        (301, b"", Unavailable),
        (200, {"id": 1}, Unavailable),
        (204, b"", Unavailable),
    ],
)
def test_each_error_status_raises_its_exception(backend: Backend, status: int, body: Any, error: type) -> None:
    backend.answer(CREATE, status, body)
    with pytest.raises(error):
        thoughts.create("Bearer x", "text")


def test_error_has_the_messages_for_each_field(backend: Backend) -> None:
    backend.answer(CREATE, 400, {"message": "m", "errors": {"text": ["Too long.", "Too dull."], "odd": "text"}})
    with pytest.raises(InvalidInput) as raised:
        thoughts.create("Bearer x", "text")
    assert raised.value.errors == {"text": ["Too long.", "Too dull."]}


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("999999999", 86400), ("soon", 60), ("-5", 60), ("", 60), ("9" * 50, 60)]
)
def test_retry_after_is_bounded(backend: Backend, header: str, seconds: int) -> None:
    backend.answer(LOGIN, 429, {"message": "Too fast."}, Retry_After=header)
    with pytest.raises(TooManyRequests) as raised:
        users.log_in("a", "b", CLIENT)
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"rubbish", b"", b"null", b"{}", b'"text"', b"[1]", b"[null]", b"[{}]", b"[" * 100_000,
        [thought(id="1")], [thought(id=-1)], [thought(text=None)], [thought(timestamp="yesterday")],
        [thought(timestamp="0001-01-01T00:00:00+14:00")], [thought(username=7)], b'[{"id": 1, "text": "\\ud800"}]',
        [thought(text="\ud800")], b'{"a": NaN', b"\xff\xfe",
    ],
)  # fmt: skip
def test_invalid_list_is_treated_as_unavailable(backend: Backend, caplog: pytest.LogCaptureFixture, body: Any) -> None:
    backend.answer(SEARCH, 200, body)
    with pytest.raises(Unavailable):
        thoughts.search("", {})
    assert [record.getMessage() for record in caplog.records] == ["thoughts-api answered with an unexpected body."]


@pytest.mark.parametrize("body", [b"rubbish", {}, [], {"Authorized": 1, "refresh": "r"}, {"Authorized": "Bearer x"}])
def test_invalid_login_answer_is_treated_as_unavailable(
    backend: Backend, caplog: pytest.LogCaptureFixture, body: Any
) -> None:
    backend.answer(LOGIN, 200, body)
    with pytest.raises(Unavailable):
        users.log_in("a", "b", CLIENT)
    assert [record.getMessage() for record in caplog.records] == ["users-api answered with an unexpected body."]


@pytest.mark.parametrize(
    ("call", "function", "attempts"),
    [
        (SEARCH, lambda: thoughts.search("", {}), 3),
        (MINE, lambda: thoughts.mine("Bearer x", {}), 3),
        (DELETE, lambda: thoughts.delete("Bearer x", 1), 3),
        (CREATE, lambda: thoughts.create("Bearer x", "text"), 1),
        (LOGIN, lambda: users.log_in("a", "b", CLIENT), 1),
        (REFRESH, lambda: users.refresh("r", CLIENT), 1),
        (LOGOUT, lambda: users.log_out("r"), 1),
    ],
)
def test_only_idempotent_calls_are_retried(backend: Backend, call: Any, function: Any, attempts: int) -> None:
    backend.answer(call, 503)
    with pytest.raises(Unavailable):
        function()
    assert backend.calls() == [call] * attempts


def test_closed_connection_is_replaced(backend: Backend) -> None:
    def close(handler: Any) -> Any:
        handler.close_connection = True
        return 200, [], {}

    backend.answers[SEARCH] = close
    for _ in range(3):
        assert thoughts.search("", {}).thoughts == []
    assert backend.connections == 3


def test_successful_retry_is_a_success(backend: Backend) -> None:
    answers: Any = iter([(503, b"", {}), (200, [thought()], {})])
    backend.answers[SEARCH] = lambda handler: next(answers)
    assert len(thoughts.search("", {}).thoughts) == 1


def test_retry_that_could_exceed_the_deadline_is_skipped(backend: Backend, settings: Settings) -> None:
    settings.BACKEND_TOTAL_TIMEOUT = settings.BACKEND_READ_TIMEOUT
    backend.answer(SEARCH, 503)
    with pytest.raises(Unavailable):
        thoughts.search("", {})
    assert backend.calls() == [SEARCH]


def test_connections_are_replaced_regularly(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    # Kubernetes chooses a pod when a connection is opened, so only new connections reach new pods.
    monkeypatch.setattr(http, "SESSION_AGE", 1e-9)
    thoughts.search("", {})
    thoughts.search("", {})
    assert backend.connections == 2


def test_a_redirect_is_not_followed(backend: Backend) -> None:
    backend.answer(SEARCH, 302, b"", Location=f"{backend.url}/elsewhere")
    with pytest.raises(Unavailable):
        thoughts.search("", {})
    assert ("GET", "/elsewhere") not in backend.calls()


def test_refused_connection_fails_immediately(backends_unavailable: None) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        thoughts.create("Bearer x", "text")
    assert not isinstance(raised.value, Unanswered)
    assert time.monotonic() - start < 5


def test_silent_api_times_out(settings: Settings) -> None:
    settings.BACKEND_READ_TIMEOUT = 0.2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.THOUGHTS_BACKEND_URL = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unanswered):  # the API may have stored the thought
            thoughts.create("Bearer x", "text")
        with pytest.raises(Unavailable) as raised:
            thoughts.delete("Bearer x", 1)
        assert not isinstance(raised.value, Unanswered)


def test_endless_answer_times_out(backend: Backend, settings: Settings) -> None:
    settings.BACKEND_TOTAL_TIMEOUT = 2
    sent: list[int] = []

    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for number in range(1000):
            handler.wfile.write(b" ")
            sent.append(number)
            time.sleep(0.05)

    backend.answers[SEARCH] = trickle
    with pytest.raises(Unavailable):
        thoughts.search("", {})
    assert 3 <= len(sent) < 100


def test_answer_that_is_too_large_is_refused(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_SIZE", 1000)
    backend.answer(SEARCH, 200, [thought(text="x" * 2000)])
    with pytest.raises(Unavailable):
        thoughts.search("", {})


def test_timeouts_stay_below_the_gunicorn_timeout(settings: Settings) -> None:
    from common.server import gunicorn_conf

    assert settings.BACKEND_CONNECT_TIMEOUT + settings.BACKEND_READ_TIMEOUT < settings.BACKEND_TOTAL_TIMEOUT
    assert gunicorn_conf.timeout > 3 * settings.BACKEND_TOTAL_TIMEOUT


def test_searches_and_tokens_are_not_logged(
    bruce: Client, backend: Backend, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    token = bruce.cookies[SESSION_COOKIE].value
    with caplog.at_level(logging.DEBUG, logger="web"), caplog.at_level(logging.INFO):
        backend.answer(SEARCH, 503)
        backend.answer(MINE, 500)
        bruce.get("/search", {"search": "my illness"})
        bruce.get("/thoughts/")
        settings.THOUGHTS_BACKEND_URL = "http://127.0.0.1:1"
        bruce.get("/search", {"search": "my illness"})
    assert "/api/thoughts/" in caplog.text
    for secret in ("illness", token, "eyJ", "a-refresh-token"):
        assert secret not in caplog.text


def test_login_sends_the_client_address(visitor: Client, backend: Backend) -> None:
    body = {"username": "bruce", "password": "secret"}
    visitor.post("/login/", body, REMOTE_ADDR="192.0.2.7", headers={"X-Forwarded-For": "198.51.100.1"})
    # There is no trusted proxy, so the visitor's X-Forwarded-For is ignored.
    assert backend.received[0].headers["x-forwarded-for"] == "192.0.2.7"
