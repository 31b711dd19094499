"""Test that slow searches leave one thread of the process free."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Semaphore
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from web.tests.conftest import CREATE, SEARCH, SESSION_COOKIE, Backend, authorization, thought


def browser() -> Client:
    """Return a test client in which bruce is logged in."""
    client = Client()
    client.cookies[SESSION_COOKIE] = authorization()
    return client


def request() -> Any:
    """Send a search from a separate test client."""
    return browser().get("/search?search=tea")


@contextmanager
def waiting(backend: Backend, count: int) -> Iterator[list["Future[Any]"]]:
    """Send searches, and wait until the API has received them.

    On exit, the API answers them.
    """
    arrived, answer, prepared = Semaphore(0), Event(), backend.answers[SEARCH]

    def wait(_: object) -> Any:
        arrived.release()
        answer.wait(30)
        return prepared

    with ThreadPoolExecutor(count) as pool:
        backend.answers[SEARCH] = wait
        requests = [pool.submit(request) for _ in range(count)]
        try:
            assert all(arrived.acquire(timeout=30) for _ in requests)
            yield requests
        finally:
            backend.answers[SEARCH] = prepared
            answer.set()


@pytest.fixture(autouse=True)
def patient(settings: Settings) -> None:
    settings.BACKEND_CONNECT_TIMEOUT = settings.BACKEND_READ_TIMEOUT = 60
    settings.BACKEND_TOTAL_TIMEOUT = 600


def test_slow_searches_leave_one_thread_free(backend: Backend) -> None:
    backend.answer(SEARCH, 200, [thought(7)])
    with waiting(backend, settings.THREADS - 1) as requests:
        before = backend.calls()
        response = request()
        assert response.status_code == 503
        assert response["Retry-After"] == "1"
        assert "Many people are searching right now. Try again in a second." in response.content.decode()
        assert "<nav" in response.content.decode()
        assert SEARCH not in backend.calls()[len(before) :]
        # Other requests are answered as usual.
        assert browser().post("/thoughts/new", {"text": "Tea first."}).status_code == 302
        assert backend.calls()[-1] == CREATE
        assert browser().get("/thoughts/").status_code == 200
        assert not any(each.done() for each in requests)
    assert {each.result().status_code for each in requests} <= {200, 302}
    assert request().status_code in (200, 302)


def test_refused_search_can_be_repeated(backend: Backend) -> None:
    with waiting(backend, settings.THREADS - 1):
        page = browser().get("/search?search=tea&after=7").content.decode()
        assert '<a href="/search?search=tea&amp;after=7">Try again</a>' in page
        assert 'value="tea"' in page
    assert browser().get("/search?search=tea&after=7").status_code == 200


def test_failed_search_releases_its_slot(backend: Backend) -> None:
    prepared = backend.answers[SEARCH]
    backend.answer(SEARCH, 500)
    for _ in range(settings.THREADS):
        assert "service is temporarily unavailable" in request().content.decode()
    backend.answers[SEARCH] = prepared
    assert request().status_code in (200, 302)


def test_threads_setting_matches_gunicorn() -> None:
    from common.server import gunicorn_conf

    assert gunicorn_conf.threads == settings.THREADS
