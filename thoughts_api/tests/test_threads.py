"""Test the limits on searches and writes with concurrent requests.

conftest.py excludes this file on SQLite.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections
from pytest_django import Settings
from rest_framework.test import APIClient

from thoughts_api.models import Thought, WriteCount
from thoughts_api.tests.conftest import Sign, client

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
# SLOW_TEXT almost matches SLOW_SEARCH at many positions, so a search of 100,000 such texts takes seconds.
SLOW_TEXT, SLOW_SEARCH = "a" * 120 + "b" + "a" * 129, "a" * 125 + "b" + "a" * 10


def concurrently(calls: int, call: Callable[[int], int]) -> list[int]:
    """Make `calls` calls from THREADS threads, and return the results.

    The threads start together.
    """
    together = Barrier(THREADS)

    def run(number: int) -> int:
        if number < THREADS:
            together.wait()
        try:
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(calls)))


@pytest.mark.parametrize("limit", ["WRITES_PER_MINUTE", "WRITES_PER_DAY"])
@pytest.mark.parametrize("first", [True, False])
def test_concurrent_writes_do_not_exceed_the_limit(sign: Sign, settings: Settings, limit: str, first: bool) -> None:
    if not first:
        client(sign()).post("/api/me/thoughts/", {"text": "Tea first."})
        WriteCount.objects.update(in_minute=0, in_day=0)
        Thought.objects.all().delete()
    setattr(settings, limit, 30)
    token = sign()
    statuses = concurrently(64, lambda _: client(token).post("/api/me/thoughts/", {"text": "Tea first."}).status_code)
    assert sorted(statuses) == [201] * 30 + [429] * 34
    assert Thought.objects.count() == 30
    assert (WriteCount.objects.get().in_minute, WriteCount.objects.get().in_day) == (30, 30)


def test_concurrent_users_do_not_share_a_limit(sign: Sign, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = 10
    clients = [client(sign(username=f"writer{number}")) for number in range(4)]

    def write(number: int) -> int:
        api: APIClient = clients[number % 4]
        return api.post("/api/me/thoughts/", {"text": "Tea first."}).status_code

    assert sorted(concurrently(80, write)) == [201] * 40 + [429] * 40
    assert set(WriteCount.objects.values_list("in_minute", flat=True)) == {10}


@contextmanager
def blocked_searches(count: int) -> Iterator[list["Future[Any]"]]:
    """Lock the table, start `count` searches, and yield their futures.

    The `with` block starts once all searches are waiting for the lock. On exit, release the lock and wait until the
    searches have finished.
    """

    def search(_: int) -> Any:
        try:
            return client().get("/api/thoughts/", {"search": SLOW_SEARCH})
        finally:
            connections.close_all()

    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'thoughts_api_thought'::regclass AND NOT granted"
    parameters = connection.get_connection_params()
    with ThreadPoolExecutor(count) as pool, psycopg.connect(**parameters) as locking, connection.cursor() as cursor:
        locking.execute("LOCK TABLE thoughts_api_thought")
        searching = [pool.submit(search, number) for number in range(count)]
        deadline = time.monotonic() + 30
        while cursor.execute(waiting).fetchone() != (count,):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        cursor.execute(
            "SET statement_timeout = 2000"
        )  # this thread's queries fail instead of waiting for the lock forever
        yield searching
        cursor.execute("RESET statement_timeout")


def test_searches_leave_one_thread_free(anonymous: APIClient, bruce: APIClient) -> None:
    Thought.objects.create(username="bruce", text=SLOW_TEXT)
    with blocked_searches(settings.THREADS - 1) as searching:
        for path in (
            "/api/thoughts/?search=tea",
            "/api/thoughts/?search=%20&limit=1",
            "/api/thoughts?search=a&after=7",
        ):
            response = anonymous.get(path)
            assert response.status_code == 503
            assert response["Retry-After"] == "1"
            assert response.json() == {"message": "Too many searches are running. Try again in a second."}
        # Other requests succeed or fail as usual.
        assert bruce.post("/api/me/thoughts/", {"text": ""}).status_code == 400
        assert anonymous.get("/api/thoughts/?search=%00").status_code == 400
        assert not any(each.done() for each in searching)
    assert [each.result().json() for each in searching] == [[]] * (settings.THREADS - 1)
    assert anonymous.get("/api/thoughts/?search=tea").status_code == 200


def test_threads_setting_equals_the_gunicorn_setting() -> None:
    from common.server import gunicorn_conf

    assert gunicorn_conf.threads == settings.THREADS


def test_failed_search_releases_its_slot(anonymous: APIClient) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("canceling statement due to statement timeout")

    for _ in range(settings.THREADS):
        with connection.execute_wrapper(fail):
            assert anonymous.get("/api/thoughts/?search=tea").status_code == 503
        assert anonymous.get("/api/thoughts/?search=tea&limit=0").status_code == 400
    assert anonymous.get("/api/thoughts/?search=tea").status_code == 200
