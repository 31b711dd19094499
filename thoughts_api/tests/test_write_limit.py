"""Test the limits on how many thoughts a user can write per minute and per day."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from thoughts_api import write_limit
from thoughts_api.models import Thought, WriteCount

pytestmark = pytest.mark.django_db

MINE = "/api/me/thoughts/"


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock that `write_limit` uses.

    Otherwise, a minute could end while a slow machine creates thoughts.
    """
    now = time.time()
    monkeypatch.setattr(write_limit, "time", SimpleNamespace(time=lambda: now))


def write(api: APIClient, times: int = 1) -> Any:
    """Create `times` thoughts, and return the last response."""
    for _ in range(times):
        response = api.post(MINE, {"text": "Tea first."}, format="json")
        assert response.status_code == 201, response.content
    return response


def assert_refused(api: APIClient, shortest: int, longest: int) -> None:
    """Assert that a thought is refused with the status 429.

    `Retry-After` must be between `shortest` and `longest` seconds.
    """
    before = list(Thought.objects.values()), list(WriteCount.objects.values())
    response = api.post(MINE, {"text": "Tea first."}, format="json")
    assert response.status_code == 429
    assert list(response.json()) == ["message"]
    assert response.json()["message"].startswith("Too many thoughts.")
    assert shortest <= int(response["Retry-After"]) <= longest
    assert (list(Thought.objects.values()), list(WriteCount.objects.values())) == before


def age(seconds: float) -> None:
    """Move the start of each minute and day back, as if this many seconds had passed."""
    WriteCount.objects.update(minute_start=F("minute_start") - seconds, day_start=F("day_start") - seconds)


def test_61st_thought_in_a_minute_is_429(bruce: APIClient) -> None:
    write(bruce, 60)
    assert_refused(bruce, 1, 60)
    assert Thought.objects.count() == 60


def test_next_minute_allows_60_more(bruce: APIClient) -> None:
    write(bruce, 60)
    age(50)
    assert_refused(bruce, 1, 10)
    age(10)
    write(bruce, 60)
    assert_refused(bruce, 1, 60)


def test_2001st_thought_in_a_day_is_429(bruce: APIClient, settings: Settings) -> None:
    assert settings.WRITES_PER_DAY == 2000
    write(bruce)
    WriteCount.objects.update(in_day=1999)
    write(bruce)
    assert_refused(bruce, 86_000, 86_400)
    age(23 * 3600)
    assert_refused(bruce, 3500, 3600)
    age(3600)
    write(bruce)
    assert WriteCount.objects.get().in_day == 1


def test_limits_are_settings(bruce: APIClient, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = 2
    write(bruce, 2)
    assert_refused(bruce, 1, 60)
    settings.WRITES_PER_MINUTE, settings.WRITES_PER_DAY = 10, 3
    write(bruce)
    assert_refused(bruce, 86_000, 86_400)


def test_retry_after_is_the_longer_wait_of_the_two_limits(bruce: APIClient, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = settings.WRITES_PER_DAY = 2
    write(bruce, 2)
    assert_refused(bruce, 86_000, 86_400)


def test_deleted_thoughts_still_count(bruce: APIClient, staff: APIClient, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = 3
    for path in (MINE, MINE, "/admin/thoughts/"):
        client = bruce if path == MINE else staff
        assert client.delete(f"{path}{write(bruce).json()['id']}/").status_code == 204
    assert not Thought.objects.exists()
    assert_refused(bruce, 1, 60)


def test_one_users_limit_does_not_apply_to_other_users(
    bruce: APIClient, stephen: APIClient, settings: Settings
) -> None:
    settings.WRITES_PER_MINUTE = 1
    write(bruce)
    assert_refused(bruce, 1, 60)
    write(stephen)


def test_reads_and_deletes_are_not_limited(bruce: APIClient, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = 1
    path = f"{MINE}{write(bruce).json()['id']}/"
    assert_refused(bruce, 1, 60)
    assert bruce.get(MINE).status_code == bruce.get("/api/thoughts/?search=tea").status_code == 200
    assert bruce.delete(path).status_code == 204


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "x" * 251}, {}])
def test_invalid_thought_is_not_counted(bruce: APIClient, body: dict[str, str]) -> None:
    assert bruce.post(MINE, body, format="json").status_code == 400
    assert not WriteCount.objects.exists()


def test_thought_that_cannot_be_stored_is_not_counted(
    bruce: APIClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WRITES_PER_MINUTE = 2
    write(bruce)

    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.Model.save", fail)
        assert bruce.post(MINE, {"text": "Tea first."}).status_code == 503
    assert WriteCount.objects.get().in_minute == Thought.objects.count() == 1
    write(bruce)
    assert_refused(bruce, 1, 60)


def test_minute_that_starts_slightly_in_the_future_still_counts(bruce: APIClient, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = 2
    write(bruce)
    age(-9)
    write(bruce)
    assert_refused(bruce, 60, 70)


def test_minute_and_day_that_start_far_in_the_future_are_replaced(bruce: APIClient, settings: Settings) -> None:
    settings.WRITES_PER_MINUTE = settings.WRITES_PER_DAY = 2
    write(bruce, 2)
    age(-24 * 3600)
    write(bruce, 2)
    assert_refused(bruce, 86_000, 86_400)


def test_limit_costs_one_row_per_user_and_one_statement_per_thought(bruce: APIClient) -> None:
    write(bruce, 3)
    with CaptureQueriesContext(connection) as queries:
        write(bruce)
    statements = [query["sql"].split()[:3] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert [" ".join(words).replace('"', "") for words in statements] == [
        "INSERT INTO thoughts_api_writecount",
        "INSERT INTO thoughts_api_thought",
    ]
    assert WriteCount.objects.count() == 1
