"""Slow calls leave one thread of the process free."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Semaphore
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from web.tests.conftest import CREATE, LOGIN, PASSWORD, SEARCH, SESSION_COOKIE, SIGN_UP, Backend, authorization, thought

PAIR = {"username": "grace", "password": "nanosecond-wire"}
CHANGE = {"old_password": "x", "new_password": "y"}
SLOW = {
    "search": (SEARCH, "get", "/search?search=tea", {}),
    "login": (LOGIN, "post", "/login/", PAIR),
    "sign-up": (SIGN_UP, "post", "/signup/", PAIR),
    "password": (PASSWORD, "post", "/account/password", CHANGE),
}


def browser() -> Client:
    """Return a test client in which bruce is logged in."""
    client = Client()
    client.cookies[SESSION_COOKIE] = authorization()
    return client


def request(kind: str) -> Any:
    """Send the slow request from a separate test client."""
    _, method, path, data = SLOW[kind]
    return getattr(browser(), method)(path, data)


@contextmanager
def waiting(backend: Backend, kind: str, count: int) -> Iterator[list["Future[Any]"]]:
    """Send slow requests, and wait until the API has received them. On exit, the API answers them."""
    call = SLOW[kind][0]
    arrived, answer, prepared = Semaphore(0), Event(), backend.answers[call]

    def wait(_: object) -> Any:
        arrived.release()
        answer.wait(30)
        return prepared

    with ThreadPoolExecutor(count) as pool:
        backend.answers[call] = wait
        requests = [pool.submit(request, kind) for _ in range(count)]
        try:
            assert all(arrived.acquire(timeout=30) for _ in requests)
            yield requests
        finally:
            backend.answers[call] = prepared
            answer.set()


@pytest.fixture(autouse=True)
def patient(settings: Settings) -> None:
    settings.SIGN_UP = "open"
    settings.BACKEND_CONNECT_TIMEOUT = settings.BACKEND_READ_TIMEOUT = 60
    settings.BACKEND_TOTAL_TIMEOUT = 600


@pytest.mark.parametrize(
    ("kind", "activity"),
    [("search", "searching"), ("login", "logging in"), ("sign-up", "logging in"), ("password", "logging in")],
)
def test_slow_calls_leave_one_thread_free(backend: Backend, kind: str, activity: str) -> None:
    backend.answer(SEARCH, 200, [thought(7)])
    with waiting(backend, kind, settings.THREADS - 1) as requests:
        before = backend.calls()
        response = request(kind)
        assert response.status_code == 503
        assert response["Retry-After"] == "1"
        assert f"Many people are {activity} right now. Try again in a second." in response.content.decode()
        assert "<nav" in response.content.decode()
        assert SLOW[kind][0] not in backend.calls()[len(before) :]
        # Other requests are answered as usual.
        assert browser().post("/thoughts/new", {"text": "Tea first."}).status_code == 302
        assert backend.calls()[-1] == CREATE
        assert browser().get("/thoughts/").status_code == 200
        assert not any(each.done() for each in requests)
    assert {each.result().status_code for each in requests} <= {200, 302}
    assert request(kind).status_code in (200, 302)


def test_refused_search_can_be_repeated(backend: Backend) -> None:
    with waiting(backend, "search", settings.THREADS - 1):
        page = browser().get("/search?search=tea&after=7").content.decode()
        assert '<a href="/search?search=tea&amp;after=7">Try again</a>' in page
        assert 'value="tea"' in page
    assert browser().get("/search?search=tea&after=7").status_code == 200


@pytest.mark.parametrize("kind", SLOW)
def test_failed_call_releases_its_slot(backend: Backend, kind: str) -> None:
    prepared = backend.answers[SLOW[kind][0]]
    backend.answer(SLOW[kind][0], 500)
    for _ in range(settings.THREADS):
        assert "service is temporarily unavailable" in request(kind).content.decode()
    backend.answers[SLOW[kind][0]] = prepared
    assert request(kind).status_code in (200, 302)


def test_threads_setting_matches_gunicorn() -> None:
    from common.server import gunicorn_conf

    assert gunicorn_conf.threads == settings.THREADS
