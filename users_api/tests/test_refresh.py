"""Test token refresh and logout."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.contrib.auth import authenticate
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from users_api import services
from users_api.models import Session, User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]
FORM = "application/x-www-form-urlencoded"


def claims(authorization: str) -> dict[str, Any]:
    return jwt.decode(authorization.removeprefix("Bearer "), options={"verify_signature": False})


def assert_refused(response: Any) -> None:
    assert response.status_code == 401, response.content
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]


@pytest.fixture
def refresh(bruce: User, log_in: LogIn) -> str:
    """Log in as bruce and return the refresh token."""
    token: str = log_in().json()["refresh"]
    return token


def test_refresh_returns_an_access_token_and_the_next_refresh_token(refresh: str, bruce: User, api: Client) -> None:
    response = api.post("/api/token/refresh/", {"refresh": refresh})
    assert response.status_code == 200
    assert list(response.json()) == ["Authorized", "refresh"]
    payload = claims(response.json()["Authorized"])
    assert (payload["username"], payload["user_id"]) == ("bruce", bruce.pk)
    assert payload["exp"] - payload["iat"] == 15 * 60


def test_refresh_token_can_be_used_several_times(refresh: str, api: Client) -> None:
    tokens = [api.post("/api/token/refresh/", {"refresh": refresh}).json()["Authorized"] for _ in range(3)]
    assert len({claims(token)["jti"] for token in tokens}) == 3


@pytest.mark.parametrize("path", ["/api/token/refresh", "/api/token/refresh/"])
@pytest.mark.parametrize("kind", ["application/json", FORM, MULTIPART_CONTENT])
def test_each_supported_content_type_is_accepted_with_and_without_the_trailing_slash(
    refresh: str, api: Client, path: str, kind: str
) -> None:
    data: Any = f"refresh={refresh}" if kind == FORM else {"refresh": refresh}
    assert api.post(path, data, content_type=kind).status_code == 200


def test_next_access_token_contains_new_rights(refresh: str, bruce: User, api: Client) -> None:
    User.objects.filter(pk=bruce.pk).update(is_staff=True)
    assert claims(api.post("/api/token/refresh/", {"refresh": refresh}).json()["Authorized"])["is_staff"] is True


def test_refresh_token_expires_after_14_days(refresh: str, api: Client) -> None:
    session = Session.objects.get()
    assert session.ends - session.began == pytest.approx(timedelta(days=14), abs=timedelta(seconds=5))
    Session.objects.update(ends=timezone.now() + timedelta(minutes=1))
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 200
    Session.objects.update(ends=timezone.now())
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))


def test_switched_off_account_gets_no_access_token(refresh: str, api: Client) -> None:
    # An operator may switch off an account with SQL, which does not end its sessions.
    User.objects.update(is_active=False)
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))


def test_user_must_log_in_again_after_the_account_is_switched_on_again(refresh: str, bruce: User, api: Client) -> None:
    for bruce.is_active in (False, True):
        bruce.save()
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))


def test_new_password_ends_the_sessions(refresh: str, bruce: User, api: Client, log_in: LogIn) -> None:
    services.set_password(bruce, "another horse battery")
    assert not Session.objects.exists()
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))
    new = log_in(password="another horse battery").json()["refresh"]
    assert api.post("/api/token/refresh/", {"refresh": new}).status_code == 200


def test_session_is_refused_after_a_password_is_saved_by_the_model_alone(
    refresh: str, bruce: User, api: Client
) -> None:
    bruce.set_password("another horse battery")
    bruce.save()
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))


@pytest.mark.parametrize("remove", [lambda user: user.set_unusable_password(), lambda user: user.set_password(None)])
def test_removed_password_ends_the_sessions(
    refresh: str, bruce: User, api: Client, remove: Callable[[User], None]
) -> None:
    remove(bruce)
    bruce.save()
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))
    assert not Session.objects.exists()


def test_token_older_than_the_password_is_refused(refresh: str, api: Client) -> None:
    User.objects.update(password_set=timezone.now() + timedelta(seconds=11))
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))


def test_session_is_valid_if_the_password_was_set_with_a_fast_clock(bruce: User, api: Client, log_in: LogIn) -> None:
    User.objects.update(password_set=timezone.now() + timedelta(seconds=9))
    refresh = log_in().json()["refresh"]
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 200


def test_login_locks_the_account_row_and_is_atomic(bruce: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert log_in().status_code == 200
    locks = [each["sql"] for each in queries if "FOR UPDATE" in each["sql"]]
    assert len(locks) == connection.features.has_select_for_update
    before = User.objects.get().last_login

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(QuerySet, "create", refuse)
    assert log_in().status_code == 503
    assert User.objects.get().last_login == before


def test_password_is_not_stored_if_the_sessions_cannot_be_ended(
    refresh: str, bruce: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(QuerySet, "delete", refuse)
    with pytest.raises(OperationalError):
        services.set_password(bruce, "another horse battery")
    assert User.objects.get().check_password(PASSWORD)


def test_rehashed_password_keeps_the_sessions(
    refresh: str, bruce: User, api: Client, log_in: LogIn, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", *settings.PASSWORD_HASHERS]
    assert log_in().status_code == 200
    bruce.refresh_from_db()
    assert bruce.password.startswith("scrypt$")
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 200


def test_new_password_ends_a_session_that_begins_before_the_password_is_saved(
    bruce: User, api: Client, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = []
    save = User.save

    def log_in_first(user: User, **kwargs: Any) -> None:
        monkeypatch.setattr(User, "save", save)
        answers.append(log_in().json())
        save(user, **kwargs)

    monkeypatch.setattr(User, "save", log_in_first)
    services.set_password(bruce, "another horse battery")
    [answer] = answers
    assert_refused(api.post("/api/token/refresh/", {"refresh": answer["refresh"]}))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda user: user.set_password("another horse battery"), 401),
        (lambda user: setattr(user, "is_active", False), 401),
        (lambda user: user.set_password(PASSWORD), 200),  # another hash of the same password
    ],
)
def test_login_checks_the_account_again_after_checking_the_password(
    bruce: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch, change: Callable[[User], None], status: int
) -> None:
    def check(*args: Any, **kwargs: Any) -> Any:
        user = authenticate(*args, **kwargs)
        stored = User.objects.get()
        change(stored)
        stored.save()
        return user

    monkeypatch.setattr("rest_framework_simplejwt.serializers.authenticate", check)
    assert log_in().status_code == status
    assert Session.objects.count() == (status == 200)


def test_access_token_is_not_accepted_as_a_refresh_token(bruce: User, log_in: LogIn, api: Client) -> None:
    authorization = log_in().json()["Authorized"]
    for token in (authorization, authorization.removeprefix("Bearer ")):
        assert_refused(api.post("/api/token/refresh/", {"refresh": token}))


@pytest.mark.parametrize("token", ["rubbish", "ä😀", "x" * 2000, "' OR 1=1 --"])
def test_malformed_token_is_refused(db: None, api: Client, token: str) -> None:
    assert_refused(api.post("/api/token/refresh/", {"refresh": token}, content_type="application/json"))


def test_stored_session_key_is_not_accepted_as_a_token(refresh: str, api: Client) -> None:
    assert_refused(api.post("/api/token/refresh/", {"refresh": Session.objects.get().key.hex}))


def test_logout_ends_only_its_own_session(refresh: str, log_in: LogIn, api: Client) -> None:
    elsewhere = log_in().json()["refresh"]
    response = api.post("/api/logout/", {"refresh": refresh})
    assert (response.status_code, response.content) == (204, b"")
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))
    assert api.post("/api/token/refresh/", {"refresh": elsewhere}).status_code == 200


@pytest.mark.parametrize("path", ["/api/logout", "/api/logout/"])
@pytest.mark.parametrize("kind", ["application/json", FORM, MULTIPART_CONTENT])
def test_logout_accepts_every_content_type(refresh: str, api: Client, path: str, kind: str) -> None:
    data: Any = f"refresh={refresh}" if kind == FORM else {"refresh": refresh}
    assert api.post(path, data, content_type=kind).status_code == 204
    assert not Session.objects.exists()


def test_second_logout_is_not_an_error(refresh: str, api: Client) -> None:
    statuses = [api.post("/api/logout/", {"refresh": token}).status_code for token in (refresh, refresh, "rubbish")]
    assert statuses == [204, 204, 204]


@pytest.mark.parametrize("path", ["/api/token/refresh/", "/api/logout/"])
@pytest.mark.parametrize(
    "body", [{}, {"refresh": ""}, {"refresh": " "}, {"refresh": None}, {"refresh": 1}, {"refresh": ["a"]},
             {"refresh": "a\x00"}, {"refresh": "\ud800"}, {"refresh": "x" * 2001}, [], "refresh", None]
)  # fmt: skip
def test_bad_input_is_400_and_the_error_names_the_field(db: None, api: Client, path: str, body: Any) -> None:
    response = api.generic("POST", path, json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["refresh" if isinstance(body, dict) else "non_field_errors"]


@pytest.mark.parametrize("path", ["/api/login/", "/api/token/refresh/", "/api/logout/"])
def test_wrong_method_is_405_with_an_allow_header(api: Client, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        response = api.generic(method, path)
        assert response.status_code == 405
        assert response["Allow"] == "POST, OPTIONS"
        assert list(response.json()) == ["message"]


def test_refresh_token_of_a_deleted_account_is_refused(refresh: str, bruce: User, api: Client) -> None:
    bruce.delete()
    assert_refused(api.post("/api/token/refresh/", {"refresh": refresh}))


def test_admin_refuses_bearer_tokens_and_the_api_refuses_cookies(admin: User, api: Client, log_in: LogIn) -> None:
    authorization = log_in("admin", PASSWORD).json()["Authorized"]
    assert api.get("/admin/", headers={"Authorization": authorization}).status_code == 302
    api.force_login(admin)
    assert api.post("/admin/users/", {"username": "grace", "password": PASSWORD}).status_code == 401
