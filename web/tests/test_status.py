"""Test the status page, and the code on error pages."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from common.http import request_id
from web import status
from web.tests.conftest import CREATE, LOGIN, MINE, ONE, SEARCH, Backend

USERS = ("GET", "/api/status/")
CODE = re.compile(r"tell us this code: <code>(.*?)</code>")


@pytest.fixture(autouse=True)
def checker(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> status.Checker:
    """Forget earlier reports. Both APIs work, unless a test sets other answers.

    The clock stands still, and checks may take 5 seconds. So a busy machine cannot change the result of a test.
    """
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    monkeypatch.setattr(status, "TIMEOUT", 5)
    backend.answer(USERS, 204)
    checker = status.Checker()
    monkeypatch.setattr("web.views.checker", checker)
    return checker


@pytest.fixture
def age(checker: status.Checker) -> Callable[[float], None]:
    """Return a function that makes the latest report older by a number of seconds."""

    def age(seconds: float) -> None:
        checker._latest = replace(checker._latest, monotonic=checker._latest.monotonic - seconds)

    return age


def states(response: Any) -> list[str]:
    """Return the state of each line of the status page."""
    return re.findall(r'<span class="badge \w+">(.*?)</span>', response.text)


@pytest.mark.parametrize("path", ["/status", "/status/"])
def test_status_page_says_that_everything_works(visitor: Client, backend: Backend, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 200
    assert "<h1>Everything works</h1>" in response.text
    assert states(response) == ["Works"] * 3
    assert re.search(r'Checked <time datetime="\d{4}-.*?\+00:00">\d+ \w+ \d{4}, [\d:]{8} UTC</time>', response.text)
    assert sorted(backend.calls()) == sorted([SEARCH, USERS])
    assert backend.received[backend.calls().index(SEARCH)].query["limit"] == ["1"]


def test_status_page_shows_no_address_and_no_internal_name(visitor: Client, backend: Backend) -> None:
    backend.answer(USERS, 503)
    text = visitor.get("/status").text
    assert not re.search("127.0.0.1|users[-_]api|thoughts[-_]api|database", text)


def test_unreachable_service_does_not_answer(visitor: Client, settings: Settings) -> None:
    settings.USER_BACKEND_URL = "http://127.0.0.1:1"
    response = visitor.get("/status")
    assert response.status_code == 200
    assert "<h1>Some things do not work right now</h1>" in response.text
    assert states(response) == ["Works", "Works", "Does not answer"]


def test_slow_service_does_not_answer(visitor: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    thoughts, login = status.SERVICES
    impatient = replace(thoughts, check=lambda timeout: thoughts.check(0.05))
    monkeypatch.setattr(status, "SERVICES", (impatient, login))
    arrived = Event()
    backend.answers[SEARCH] = lambda handler: arrived.set()  # no answer
    assert states(visitor.get("/status")) == ["Works", "Does not answer", "Works"]
    assert arrived.wait(30)
    assert sorted(backend.calls()) == sorted([SEARCH, USERS])  # no retry


@pytest.mark.parametrize(
    ("code", "body"),
    [(503, {"message": "The database is temporarily unavailable."}), (500, b"<html>"), (404, b""), (429, b"")],
)
def test_failing_service_answers_with_errors(visitor: Client, backend: Backend, code: int, body: Any) -> None:
    backend.answer(USERS, code, body)
    assert states(visitor.get("/status")) == ["Works", "Works", "Answers with errors"]


def test_unexpected_body_is_an_error(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, b"<html>")
    assert states(visitor.get("/status")) == ["Works", "Answers with errors", "Works"]


def test_unusable_link_is_an_error(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, [], Link='<http://[x/>; rel="next"')
    assert states(visitor.get("/status")) == ["Works", "Answers with errors", "Works"]
    assert visitor.get("/search").status_code == 503


def test_services_are_checked_at_the_same_time(visitor: Client, backend: Backend) -> None:
    first, second = Event(), Event()

    def meet(own: Event, other: Event, answer: Any) -> Callable[[object], Any]:
        def wait(_: object) -> Any:
            own.set()
            return answer if other.wait(30) else (500, None, {})

        return wait

    backend.answers[SEARCH] = meet(first, second, backend.answers[SEARCH])
    backend.answers[USERS] = meet(second, first, backend.answers[USERS])
    assert states(visitor.get("/status")) == ["Works"] * 3


def test_services_are_checked_at_most_once_every_five_seconds(
    visitor: Client, backend: Backend, age: Callable[[float], None]
) -> None:
    for _ in range(50):
        visitor.get("/status")
    assert len(backend.calls()) == 2
    backend.answer(USERS, 503)
    age(status.MAX_AGE + 0.1)
    for _ in range(50):
        assert states(visitor.get("/status")) == ["Works", "Works", "Answers with errors"]
    assert len(backend.calls()) == 4


def test_only_one_thread_waits_for_a_check(
    backend: Backend, age: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.status.TIMEOUT", 60)
    arrived, answer, prepared = Event(), Event(), backend.answers[SEARCH]

    def wait(_: object) -> Any:
        arrived.set()
        answer.wait(30)
        return prepared

    backend.answers[SEARCH] = wait
    with ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(Client().get, "/status")
            assert arrived.wait(30)
            for _ in range(20):
                assert states(Client().get("/status")) == ["Works", "Being checked", "Being checked"]
            assert not first.done()
        finally:
            answer.set()
        assert states(first.result()) == ["Works"] * 3
    assert len(backend.calls()) == 2

    # During a later check, the other threads show the previous report, unless it is too old.
    arrived.clear()
    answer.clear()
    age(status.MAX_AGE + 0.1)
    with ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(Client().get, "/status")
            assert arrived.wait(30)
            assert states(Client().get("/status")) == ["Works"] * 3
            age(status.MAX_SHOWN_AGE)
            assert states(Client().get("/status")) == ["Works", "Being checked", "Being checked"]
        finally:
            answer.set()


def test_checks_pass_the_request_id_on(visitor: Client, backend: Backend) -> None:
    identifier = visitor.get("/status")["X-Request-ID"]
    assert {each.headers["x-request-id"] for each in backend.received} == {identifier}


def test_status_page_only_accepts_get_and_head(visitor: Client) -> None:
    assert visitor.head("/status").status_code == 200
    assert visitor.post("/status").status_code == 405


def test_every_page_links_to_the_status_page(visitor: Client) -> None:
    for path in ("/login/", "/search", "/nowhere", "/status"):
        assert '<a href="/status">Status</a>' in visitor.get(path).text.partition('<footer class="bottom">')[2]


def shown_code(response: Any) -> str:
    """Return the code on a page, or "" if there is none.

    Assert that a code is the request id of the response.
    """
    codes = CODE.findall(response.text)
    assert codes in ([], [response["X-Request-ID"]])
    return "".join(codes)


def test_error_page_shows_the_code_of_the_request(visitor: Client, backend: Backend) -> None:
    for code in (500, 503, 429):
        backend.answer(ONE, code)
        response = visitor.get("/thoughts/7")
        assert shown_code(response)
        assert [each.headers["x-request-id"] for each in backend.received][-1] == shown_code(response)
        assert '<a href="/status">Status</a>' in response.text.partition("<footer")[0]
        assert ">Try again</a>" in response.text


@pytest.mark.parametrize("id", ["a-1", "x" * 64])
def test_code_is_the_id_that_the_client_sent(visitor: Client, backend: Backend, id: str) -> None:
    backend.answer(ONE, 503)
    assert shown_code(visitor.get("/thoughts/7", headers={"X-Request-ID": id})) == id


def test_server_error_shows_the_code(visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.views.checker", None)
    response = visitor.get("/status")
    assert response.status_code == 500
    assert shown_code(response)
    assert response["X-Request-ID"] == request_id.current()


def test_error_in_a_page_shows_the_code(bruce: Client, backend: Backend) -> None:
    backend.answer(MINE, 503)
    assert shown_code(bruce.get("/thoughts/"))
    backend.answer(SEARCH, 429)
    assert shown_code(bruce.get("/search"))
    backend.answer(CREATE, 503)
    assert shown_code(bruce.post("/thoughts/new", {"text": "Typed with care"}))
    backend.answer(LOGIN, 429, {"message": "m"})
    assert shown_code(Client().post("/login/", {"username": "bruce", "password": "x"}))


def test_refused_form_and_refused_request_show_the_code(backend: Backend) -> None:
    response = Client(enforce_csrf_checks=True).post("/account/password")
    assert response.status_code == 403
    assert shown_code(response)
    response = Client().get("/", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert shown_code(response)


def test_error_that_the_user_can_solve_shows_no_code(bruce: Client, backend: Backend) -> None:
    backend.answer(LOGIN, 401, {"message": "m"})
    responses = [
        bruce.get("/nowhere"),
        bruce.get("/thoughts/8"),
        bruce.post("/status"),
        bruce.get("/search", {"search": "x" * 1001}),
        bruce.post("/thoughts/new", {"text": "x" * 251}),
        Client().post("/login/", {"username": "bruce", "password": "x"}),
        Client().post("/thoughts/new", {"text": "Typed with care"}),
        bruce.post("/thoughts/new", {"text": "x" * 70_000}),
    ]
    assert [each.status_code for each in responses] == [404, 404, 405, 400, 400, 401, 401, 413]
    assert [shown_code(each) for each in responses] == [""] * 8
