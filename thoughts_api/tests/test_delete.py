"""Test that authors can delete their own thoughts, and staff all thoughts."""

import pytest
from rest_framework.test import APIClient

from thoughts_api.models import Thought
from thoughts_api.tests.conftest import Sign, client

pytestmark = pytest.mark.django_db


@pytest.fixture
def thought() -> Thought:
    """Create three thoughts, and return the second, which is by bruce."""
    Thought.objects.create(username="bruce", text="Before")
    thought = Thought.objects.create(username="bruce", text="This one")
    Thought.objects.create(username="stephen", text="After")
    return thought


def texts() -> set[str]:
    return set(Thought.objects.values_list("text", flat=True))


@pytest.mark.parametrize("slash", ["/", ""])
def test_author_deletes_a_thought(bruce: APIClient, thought: Thought, slash: str) -> None:
    response = bruce.delete(f"/api/me/thoughts/{thought.id}{slash}")
    assert response.status_code == 204
    assert response.content == b""
    assert texts() == {"Before", "After"}
    # The thought no longer exists.
    assert bruce.delete(f"/api/me/thoughts/{thought.id}{slash}").status_code == 404


def test_deleting_another_users_thought_is_404(
    stephen: APIClient, staff: APIClient, sign: Sign, thought: Thought
) -> None:
    for other in (stephen, staff, client(sign(username="BRUCE", user_id=1))):
        response = other.delete(f"/api/me/thoughts/{thought.id}/")
        assert response.status_code == 404
        assert list(response.json()) == ["message"]
    assert "This one" in texts()


def test_author_needs_a_token_to_delete(anonymous: APIClient, thought: Thought) -> None:
    response = anonymous.delete(f"/api/me/thoughts/{thought.id}/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]
    assert "This one" in texts()


@pytest.mark.parametrize("slash", ["/", ""])
def test_staff_can_delete_any_thought_and_repeat_the_request(staff: APIClient, thought: Thought, slash: str) -> None:
    for _ in range(2):
        response = staff.delete(f"/admin/thoughts/{thought.id}{slash}")
        assert response.status_code == 204
        assert response.content == b""
        assert texts() == {"Before", "After"}
    assert staff.delete(f"/admin/thoughts/{10**30}{slash}").status_code == 204


def test_author_without_staff_rights_cannot_use_the_staff_path(bruce: APIClient, thought: Thought) -> None:
    response = bruce.delete(f"/admin/thoughts/{thought.id}/")
    assert response.status_code == 403
    assert list(response.json()) == ["message"]
    assert "This one" in texts()


@pytest.mark.parametrize("is_staff", [None, 1, "true", [True], {"is": True}])
def test_is_staff_claim_must_be_the_boolean_true(sign: Sign, thought: Thought, is_staff: object) -> None:
    assert client(sign(is_staff=is_staff)).delete(f"/admin/thoughts/{thought.id}/").status_code == 403
    assert "This one" in texts()


def test_staff_path_needs_a_valid_token(anonymous: APIClient, thought: Thought) -> None:
    for client_without_user in (anonymous, client("rubbish")):
        response = client_without_user.delete(f"/admin/thoughts/{thought.id}/")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert list(response.json()) == ["message"]
    assert "This one" in texts()


def test_deletion_by_staff_is_logged_once_without_the_text(
    staff: APIClient, thought: Thought, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="thoughts_api")
    for _ in range(2):
        staff.delete(f"/admin/thoughts/{thought.id}/")
    assert [record.getMessage() for record in caplog.records if record.name != "events"] == [
        f"staff deleted a thought: 'admin' deleted thought {thought.id} of 'bruce'"
    ]
    [event] = [record.__dict__ for record in caplog.records if record.name == "events"]
    assert (event["event"], event["action"], event["target"]) == ("staff.acted", "delete_thought", thought.id)


def test_name_cannot_forge_a_log_line(sign: Sign, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="thoughts_api")
    thought = Thought.objects.create(username="bruce\nforged", text="Tea")
    client(sign(username="admin\nforged", is_staff=True)).delete(f"/admin/thoughts/{thought.id}/")
    assert [record.getMessage() for record in caplog.records if record.name != "events"] == [
        f"staff deleted a thought: 'admin\\nforged' deleted thought {thought.id} of 'bruce\\nforged'"
    ]


def test_refused_deletion_and_deletion_by_the_author_are_not_logged(
    bruce: APIClient, anonymous: APIClient, thought: Thought, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="thoughts_api")
    anonymous.delete(f"/admin/thoughts/{thought.id}/")
    bruce.delete(f"/admin/thoughts/{thought.id}/")
    bruce.delete(f"/api/me/thoughts/{thought.id}/")
    assert [record for record in caplog.records if "staff" in record.getMessage()] == []
