"""Limits that must hold while several threads answer requests; on SQLite these tests are not collected."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from pytest_django import Settings
from rest_framework.test import APIClient

from thoughts_api.models import Thought, WriteCount
from thoughts_api.tests.conftest import Sign, client

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


def at_once(calls: int, call: Callable[[int], int]) -> list[int]:
    """Return what many calls return, made by some threads that all begin at the same time."""
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
def test_of_many_thoughts_at_once_exactly_as_many_as_allowed_are_stored(
    sign: Sign, settings: Settings, limit: str, first: bool
) -> None:
    if not first:
        client(sign()).post("/api/me/thoughts/", {"text": "Tea first."})
        WriteCount.objects.update(in_minute=0, in_day=0)
        Thought.objects.all().delete()
    setattr(settings, limit, 30)
    token = sign()
    statuses = at_once(64, lambda _: client(token).post("/api/me/thoughts/", {"text": "Tea first."}).status_code)
    assert sorted(statuses) == [201] * 30 + [429] * 34
    assert Thought.objects.count() == 30
    assert (WriteCount.objects.get().in_minute, WriteCount.objects.get().in_day) == (30, 30)


def test_accounts_do_not_share_a_limit_while_all_write_at_once(sign: Sign, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = 10
    clients = [client(sign(username=f"writer{number}")) for number in range(4)]

    def write(number: int) -> int:
        api: APIClient = clients[number % 4]
        return api.post("/api/me/thoughts/", {"text": "Tea first."}).status_code

    assert sorted(at_once(80, write)) == [201] * 40 + [429] * 40
    assert set(WriteCount.objects.values_list("in_minute", flat=True)) == {10}
