"""Deleting thoughts: one's own, and, as staff, anyone's."""

import pytest
from rest_framework.test import APIClient

from thoughts_api.models import Thought
from thoughts_api.tests.conftest import Sign, client

pytestmark = pytest.mark.django_db


@pytest.fixture
def thought() -> Thought:
    """One thought of bruce, between others."""
    Thought.objects.create(username="bruce", text="Before")
    thought = Thought.objects.create(username="bruce", text="This one")
    Thought.objects.create(username="stephen", text="After")
    return thought


def texts() -> set[str]:
    return set(Thought.objects.values_list("text", flat=True))


@pytest.mark.parametrize("slash", ["/", ""])
def test_one_deletes_ones_own_thought_once(bruce: APIClient, thought: Thought, slash: str) -> None:
    response = bruce.delete(f"/api/me/thoughts/{thought.id}{slash}")
    assert response.status_code == 204
    assert response.content == b""
    assert texts() == {"Before", "After"}
    # The second time, it is not there any more.
    assert bruce.delete(f"/api/me/thoughts/{thought.id}{slash}").status_code == 404


def test_one_cannot_delete_the_thought_of_another(
    stephen: APIClient, staff: APIClient, sign: Sign, thought: Thought
) -> None:
    for other in (stephen, staff, client(sign(username="BRUCE", user_id=1))):
        response = other.delete(f"/api/me/thoughts/{thought.id}/")
        assert response.status_code == 404
        assert list(response.json()) == ["message"]
    assert "This one" in texts()


def test_deleting_ones_own_thought_needs_a_token(anyone: APIClient, thought: Thought) -> None:
    response = anyone.delete(f"/api/me/thoughts/{thought.id}/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]
    assert "This one" in texts()


@pytest.mark.parametrize("slash", ["/", ""])
def test_staff_delete_anyones_thought_and_what_is_gone_is_no_error(
    staff: APIClient, thought: Thought, slash: str
) -> None:
    for _ in range(2):
        response = staff.delete(f"/admin/thoughts/{thought.id}{slash}")
        assert response.status_code == 204
        assert response.content == b""
        assert texts() == {"Before", "After"}
    assert staff.delete(f"/admin/thoughts/{10**30}{slash}").status_code == 204


def test_without_staff_it_is_403_even_for_ones_own(bruce: APIClient, thought: Thought) -> None:
    response = bruce.delete(f"/admin/thoughts/{thought.id}/")
    assert response.status_code == 403
    assert list(response.json()) == ["message"]
    assert "This one" in texts()


@pytest.mark.parametrize("is_staff", [None, 1, "true", [True], {"is": True}])
def test_staff_is_what_is_said_to_be_true(sign: Sign, thought: Thought, is_staff: object) -> None:
    assert client(sign(is_staff=is_staff)).delete(f"/admin/thoughts/{thought.id}/").status_code == 403
    assert "This one" in texts()


def test_without_a_token_it_is_401(anyone: APIClient, thought: Thought) -> None:
    for unknown in (anyone, client("rubbish")):
        response = unknown.delete(f"/admin/thoughts/{thought.id}/")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert list(response.json()) == ["message"]
    assert "This one" in texts()
