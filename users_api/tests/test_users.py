"""Test how staff create accounts with the API."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.utils import timezone

from users_api.models import User
from users_api.tests.conftest import PASSWORD

FORM = "application/x-www-form-urlencoded"
GRACE = {"username": "grace", "password": PASSWORD}


@pytest.fixture
def create(api: Client, admin: User, bearer: Callable[[User], dict[str, str]]) -> Callable[..., Any]:
    """Return a function that creates an account as admin."""

    def create(path: str = "/admin/users/", kind: str = "application/json", **body: Any) -> Any:
        data: Any = json.dumps(GRACE | body) if kind == "application/json" else GRACE | body
        return api.post(path, data, content_type=kind, headers=bearer(admin))

    return create


def test_staff_can_create_an_account(create: Callable[..., Any], log_in: Callable[..., Any]) -> None:
    response = create()
    assert response.status_code == 201
    grace = User.objects.get(username="grace")
    assert list(response.json()) == ["id", "username", "creation"]
    assert (response.json()["id"], response.json()["username"]) == (grace.pk, "grace")
    creation = datetime.fromisoformat(response.json()["creation"])
    assert response.json()["creation"].endswith("Z")
    assert timezone.now() - timedelta(minutes=1) < creation <= timezone.now()
    assert PASSWORD not in response.text
    assert log_in("grace").status_code == 200


@pytest.mark.parametrize("path", ["/admin/users", "/admin/users/"])
@pytest.mark.parametrize("kind", ["application/json", FORM, MULTIPART_CONTENT])
def test_each_supported_content_type_is_accepted_with_and_without_the_trailing_slash(
    api: Client, admin: User, bearer: Callable[[User], dict[str, str]], path: str, kind: str
) -> None:
    data: Any = f"username=grace&password={PASSWORD}" if kind == FORM else GRACE
    assert api.post(path, data, content_type=kind, headers=bearer(admin)).status_code == 201


def test_new_account_never_has_rights(create: Callable[..., Any]) -> None:
    assert create(is_staff=True, is_superuser=True, is_active=False, id=77, creation="2000-01-01").status_code == 201
    grace = User.objects.get(username="grace")
    assert (grace.is_staff, grace.is_superuser, grace.is_active) == (False, False, True)
    assert grace.pk != 77
    assert grace.creation.year != 2000


@pytest.mark.parametrize(
    ("taken", "name"),
    [("grace", "grace"), ("grace", "GRACE"), ("Émile", "éMILE"), ("straße", "STRASSE"), ("ﬁn", "fin")],
)
def test_taken_name_is_400_in_any_letter_case(create: Callable[..., Any], taken: str, name: str) -> None:
    assert create(username=taken).status_code == 201
    response = create(username=name)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["username"]
    assert "already exists" in response.json()["message"]
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "x" * 51}, "username"),
        ({"username": ""}, "username"),
        ({"username": "   "}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "a/b"}, "username"),
        ({"username": "😀"}, "username"),
        ({"username": None}, "username"),
        ({"username": 5}, "username"),
        ({"username": ["grace"]}, "username"),
        ({"username": "gr\x00ace"}, "username"),
        ({"username": "\ud800"}, "username"),
        ({"password": ""}, "password"),
        ({"password": "short1"}, "password"),
        ({"password": "password"}, "password"),
        ({"password": "8164092573"}, "password"),
        ({"username": "nanosecond", "password": "nanosecond1"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": None}, "password"),
        ({"password": 12345678901}, "password"),
        ({"password": {"a": 1}}, "password"),
        ({"password": "correct\x00horse"}, "password"),
    ],
)
def test_invalid_name_or_password_is_400_and_nothing_is_stored(
    create: Callable[..., Any], body: dict[str, Any], field: str
) -> None:
    response = create(**body)
    assert response.status_code == 400, response.content
    assert list(response.json()["errors"]) == [field]
    assert User.objects.count() == 1


def test_error_names_both_invalid_fields(create: Callable[..., Any]) -> None:
    assert sorted(create(username="a b", password="").json()["errors"]) == ["password", "username"]


@pytest.mark.parametrize("name", ["x" * 50, "björn", "a.b+c-d_e@f", "李雷"])
def test_names_in_all_scripts_are_accepted(create: Callable[..., Any], log_in: Callable[..., Any], name: str) -> None:
    assert create(username=name).json()["username"] == name
    assert log_in(name).status_code == 200


def test_spaces_in_a_password_count(create: Callable[..., Any], log_in: Callable[..., Any]) -> None:
    assert create(password=f" {PASSWORD} ").status_code == 201
    assert log_in("grace").status_code == 401
    assert log_in("grace", f" {PASSWORD} ").status_code == 200


def test_login_is_case_sensitive(create: Callable[..., Any], log_in: Callable[..., Any]) -> None:
    create(username="Grace")
    assert log_in("Grace").status_code == 200
    assert log_in("grace").status_code == 401


def test_missing_token_is_401(db: None, api: Client) -> None:
    response = api.post("/admin/users/", GRACE)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert not User.objects.exists()


def test_non_staff_token_is_403(api: Client, bruce: User, bearer: Callable[[User], dict[str, str]]) -> None:
    response = api.post("/admin/users/", GRACE, headers=bearer(bruce))
    assert response.status_code == 403
    assert list(response.json()) == ["message"]
    assert User.objects.count() == 1


def test_non_staff_user_cannot_learn_which_names_are_taken(
    api: Client, bruce: User, bearer: Callable[[User], dict[str, str]]
) -> None:
    assert api.post("/admin/users/", {"username": "bruce"}, headers=bearer(bruce)).status_code == 403


def test_accounts_are_not_listed(api: Client, admin: User, bearer: Callable[[User], dict[str, str]]) -> None:
    response = api.get("/admin/users/", headers=bearer(admin))
    assert response.status_code == 405
    assert response["Allow"] == "POST, OPTIONS"


def test_response_is_400_if_a_concurrent_request_stored_the_name(
    create: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    # Skip this check, as if another request stored the name after it.
    monkeypatch.setattr(User, "clean", lambda self: None)
    response = create(username="GRACE")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["username"]


def test_name_stored_during_createsuperuser_is_a_command_error(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "clean", lambda self: None)
    with pytest.raises(CommandError, match="already exists"):
        call_command("createsuperuser", username="ADMIN", interactive=False)


def test_account_created_with_the_api_is_in_the_admin_log(create: Callable[..., Any], admin: User) -> None:
    create()
    entry = LogEntry.objects.get()
    grace = User.objects.get(username="grace")
    assert (entry.user, entry.object_id, entry.object_repr) == (admin, str(grace.pk), "grace")
    assert entry.is_addition()
    assert entry.get_change_message() == "Added."


@pytest.mark.parametrize(
    ("change", "status"),
    [({"is_active": False}, 401), ({"is_staff": False}, 403), ({"is_staff": False, "is_superuser": False}, 403)],
)
def test_account_in_the_database_overrides_the_token_claims(
    api: Client, admin: User, log_in: Callable[..., Any], change: dict[str, Any], status: int
) -> None:
    headers = {"Authorization": log_in("admin").json()["Authorized"]}
    User.objects.update(**change)
    assert api.post("/admin/users/", GRACE, headers=headers).status_code == status
    assert User.objects.count() == 1


def test_new_staff_can_create_accounts_with_an_old_token(api: Client, bruce: User, log_in: Callable[..., Any]) -> None:
    headers = {"Authorization": log_in().json()["Authorized"]}
    User.objects.update(is_staff=True)
    assert api.post("/admin/users/", GRACE, headers=headers).status_code == 201


def test_token_of_a_deleted_account_is_refused(
    api: Client, admin: User, bearer: Callable[[User], dict[str, str]]
) -> None:
    headers = bearer(admin)
    admin.delete()
    assert api.post("/admin/users/", GRACE, headers=headers).status_code == 401
