"""Test reading all thoughts, one thought, and the logged-in user's thoughts."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from thoughts_api.models import Thought
from thoughts_api.serializers import ThoughtSerializer
from thoughts_api.tests.conftest import Sign, client

pytestmark = pytest.mark.django_db


@pytest.fixture
def thoughts() -> list[Thought]:
    return [
        Thought.objects.create(username=username, text=text)
        for username, text in [("bruce", "One"), ("stephen", "Two"), ("bruce", "Three")]
    ]


def test_thought_has_id_username_text_and_timestamp(anonymous: APIClient) -> None:
    time = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
    thought = Thought.objects.create(username="bruce", text="Tea first.", timestamp=time)
    expected = {
        "id": thought.id,
        "username": "bruce",
        "text": "Tea first.",
        "timestamp": "2026-03-04T05:06:07.000089Z",
    }
    assert anonymous.get("/api/thoughts/").json() == [expected]
    assert anonymous.get(f"/api/thoughts/{thought.id}/").json() == expected


@pytest.mark.parametrize("microsecond", [0, 500_000, 120_000, 1, 999_999])
def test_timestamp_has_the_same_format_as_in_the_serializer(anonymous: APIClient, microsecond: int) -> None:
    time = datetime(2026, 3, 4, 5, 6, 7, microsecond, tzinfo=UTC)
    thought = Thought.objects.create(username="bruce", text="Tea first.", timestamp=time)
    assert anonymous.get(f"/api/thoughts/{thought.id}/").json() == ThoughtSerializer(thought).data


def test_timestamp_is_iso_8601_in_utc(anonymous: APIClient) -> None:
    thought = Thought.objects.create(username="bruce", text="Now")
    timestamp = anonymous.get(f"/api/thoughts/{thought.id}/").json()["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", timestamp)
    assert datetime.now(UTC) - datetime.fromisoformat(timestamp) < timedelta(minutes=1)


def test_list_is_an_array_with_the_oldest_first(anonymous: APIClient, thoughts: list[Thought]) -> None:
    response = anonymous.get("/api/thoughts/")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert [thought["text"] for thought in response.json()] == ["One", "Two", "Three"]
    assert [thought["id"] for thought in response.json()] == sorted(thought.id for thought in thoughts)


def test_descending_id_lists_the_newest_first(anonymous: APIClient, thoughts: list[Thought]) -> None:
    listed = anonymous.get("/api/thoughts/?ordering=-id").json()
    assert [thought["text"] for thought in listed] == ["Three", "Two", "One"]
    # Ascending is the default.
    assert anonymous.get("/api/thoughts/?ordering=id").json() == anonymous.get("/api/thoughts/").json()


def test_list_is_ordered_by_id_and_not_by_timestamp(anonymous: APIClient) -> None:
    for day in (3, 1, 2):
        Thought.objects.create(username="bruce", text=f"Day {day}", timestamp=datetime(2026, 1, day, tzinfo=UTC))
    assert [thought["text"] for thought in anonymous.get("/api/thoughts/").json()] == ["Day 3", "Day 1", "Day 2"]


def test_list_without_thoughts_is_an_empty_array(anonymous: APIClient) -> None:
    response = anonymous.get("/api/thoughts/")
    assert response.status_code == 200
    assert response.json() == []


def test_public_paths_ignore_an_invalid_token(thoughts: list[Thought]) -> None:
    invalid = client("rubbish")
    assert len(invalid.get("/api/thoughts/").json()) == 3
    assert invalid.get(f"/api/thoughts/{thoughts[0].id}/").status_code == 200


def test_unknown_thought_is_404(anonymous: APIClient, thoughts: list[Thought]) -> None:
    response = anonymous.get(f"/api/thoughts/{thoughts[-1].id + 1}/")
    assert response.status_code == 404
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize("id", [0, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, "9" * 5000, "-1", "1.0", "one", "٣", "1e3"])
def test_impossible_id_is_404(anonymous: APIClient, bruce: APIClient, staff: APIClient, id: int | str) -> None:
    assert anonymous.get(f"/api/thoughts/{id}/").status_code == 404
    assert bruce.delete(f"/api/me/thoughts/{id}/").status_code == 404
    # A staff request to delete a missing thought succeeds if the id is a number.
    assert staff.delete(f"/admin/thoughts/{id}/").status_code in (204, 404)


def test_my_list_has_only_my_thoughts(bruce: APIClient, stephen: APIClient, thoughts: list[Thought]) -> None:
    assert [thought["text"] for thought in bruce.get("/api/me/thoughts/").json()] == ["One", "Three"]
    assert [thought["text"] for thought in stephen.get("/api/me/thoughts/").json()] == ["Two"]
    newest_first = bruce.get("/api/me/thoughts/?ordering=-id").json()
    assert [thought["text"] for thought in newest_first] == ["Three", "One"]


def test_my_list_compares_the_username_exactly(sign: Sign, thoughts: list[Thought]) -> None:
    for name in ("Bruce", "BRUCE", "bruc", "bruce ", "%", "bru_e"):
        assert client(sign(username=name)).get("/api/me/thoughts/").json() == []


def test_my_list_needs_a_token(anonymous: APIClient) -> None:
    response = anonymous.get("/api/me/thoughts/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]
