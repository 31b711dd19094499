"""Reading thoughts: everyone's, one, and one's own."""

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


def test_a_thought_is_an_id_a_username_a_text_and_a_timestamp(anyone: APIClient) -> None:
    time = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
    thought = Thought.objects.create(username="bruce", text="Tea first.", timestamp=time)
    expected = {
        "id": thought.id,
        "username": "bruce",
        "text": "Tea first.",
        "timestamp": "2026-03-04T05:06:07.000089Z",
    }
    assert anyone.get("/api/thoughts/").json() == [expected]
    assert anyone.get(f"/api/thoughts/{thought.id}/").json() == expected


@pytest.mark.parametrize("microsecond", [0, 500_000, 120_000, 1, 999_999])
def test_a_timestamp_is_what_the_answer_to_its_creation_said(anyone: APIClient, microsecond: int) -> None:
    time = datetime(2026, 3, 4, 5, 6, 7, microsecond, tzinfo=UTC)
    thought = Thought.objects.create(username="bruce", text="Tea first.", timestamp=time)
    assert anyone.get(f"/api/thoughts/{thought.id}/").json() == ThoughtSerializer(thought).data


def test_a_timestamp_is_iso_8601_in_utc(anyone: APIClient) -> None:
    thought = Thought.objects.create(username="bruce", text="Now")
    timestamp = anyone.get(f"/api/thoughts/{thought.id}/").json()["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", timestamp)
    assert datetime.now(UTC) - datetime.fromisoformat(timestamp) < timedelta(minutes=1)


def test_the_list_is_an_array_with_the_oldest_first(anyone: APIClient, thoughts: list[Thought]) -> None:
    response = anyone.get("/api/thoughts/")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert [thought["text"] for thought in response.json()] == ["One", "Two", "Three"]
    assert [thought["id"] for thought in response.json()] == sorted(thought.id for thought in thoughts)


def test_ordering_by_descending_id_lists_the_newest_first(anyone: APIClient, thoughts: list[Thought]) -> None:
    listed = anyone.get("/api/thoughts/?ordering=-id").json()
    assert [thought["text"] for thought in listed] == ["Three", "Two", "One"]
    # Rising is the default.
    assert anyone.get("/api/thoughts/?ordering=id").json() == anyone.get("/api/thoughts/").json()


def test_the_order_is_that_of_the_ids_and_not_of_the_times(anyone: APIClient) -> None:
    for day in (3, 1, 2):
        Thought.objects.create(username="bruce", text=f"Day {day}", timestamp=datetime(2026, 1, day, tzinfo=UTC))
    assert [thought["text"] for thought in anyone.get("/api/thoughts/").json()] == ["Day 3", "Day 1", "Day 2"]


def test_without_thoughts_the_list_is_an_empty_array(anyone: APIClient) -> None:
    response = anyone.get("/api/thoughts/")
    assert response.status_code == 200
    assert response.json() == []


def test_public_reading_disregards_a_token_that_is_wrong(thoughts: list[Thought]) -> None:
    confused = client("rubbish")
    assert len(confused.get("/api/thoughts/").json()) == 3
    assert confused.get(f"/api/thoughts/{thoughts[0].id}/").status_code == 200


def test_an_unknown_thought_is_404(anyone: APIClient, thoughts: list[Thought]) -> None:
    response = anyone.get(f"/api/thoughts/{thoughts[-1].id + 1}/")
    assert response.status_code == 404
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize("id", [0, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, "9" * 5000, "-1", "1.0", "one", "٣", "1e3"])
def test_an_id_that_no_thought_can_have_is_404(
    anyone: APIClient, bruce: APIClient, staff: APIClient, id: int | str
) -> None:
    assert anyone.get(f"/api/thoughts/{id}/").status_code == 404
    assert bruce.delete(f"/api/me/thoughts/{id}/").status_code == 404
    # Staff may delete what is not there, if it is a number at all.
    assert staff.delete(f"/admin/thoughts/{id}/").status_code in (204, 404)


def test_ones_own_list_has_ones_own_thoughts_alone(
    bruce: APIClient, stephen: APIClient, thoughts: list[Thought]
) -> None:
    assert [thought["text"] for thought in bruce.get("/api/me/thoughts/").json()] == ["One", "Three"]
    assert [thought["text"] for thought in stephen.get("/api/me/thoughts/").json()] == ["Two"]
    newest_first = bruce.get("/api/me/thoughts/?ordering=-id").json()
    assert [thought["text"] for thought in newest_first] == ["Three", "One"]


def test_whose_list_it_is_depends_on_the_whole_name_and_its_letter_case(sign: Sign, thoughts: list[Thought]) -> None:
    for name in ("Bruce", "BRUCE", "bruc", "bruce ", "%", "bru_e"):
        assert client(sign(username=name)).get("/api/me/thoughts/").json() == []


def test_ones_own_list_needs_a_token(anyone: APIClient) -> None:
    response = anyone.get("/api/me/thoughts/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]
