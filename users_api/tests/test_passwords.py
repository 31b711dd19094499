"""Test the password rules, which are the same in all forms and commands."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from users_api.models import Session, User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]
USERS = "/admin/users_api/user/"
DECOMPOSED = "Mu\u0308llers Ku\u0308he 47"
COMPOSED = unicodedata.normalize("NFC", DECOMPOSED)


@pytest.fixture
def superuser(admin: User) -> Client:
    """Return a browser in which the superuser is logged in."""
    browser = Client(raise_request_exception=False)
    browser.force_login(admin)
    return browser


def changepassword(monkeypatch: pytest.MonkeyPatch, username: str, password: str) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt="": password)
    call_command("changepassword", username)


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("x7" * 64, True),
        ("x7" * 64 + "!", False),
        ("x7" * 5000, False),
        ("a7c-x9$q", True),
        ("a7c-x9$", False),
        # This password has seven characters in NFC form, but eight as typed.
        ("a7c-x9" + "u\u0308", False),
        ("a7c-x9$" + "u\u0308", True),
        ("password", False),
        ("8164092573", False),
        (COMPOSED, True),
        (DECOMPOSED, True),
        ("        x7", True),
    ],
)
def test_all_forms_and_commands_share_the_password_rules(
    superuser: Client,
    admin: User,
    bruce: User,
    bearer: Callable[[User], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    accepted: bool,
) -> None:
    created = superuser.post("/admin/users/", {"username": "api", "password": password}, headers=bearer(admin))
    assert (created.status_code == 201) == accepted
    superuser.post(f"{USERS}add/", {"username": "form", "password1": password, "password2": password})
    assert User.objects.filter(username="form").exists() == accepted
    superuser.post(f"{USERS}{bruce.pk}/password/", {"password1": password, "password2": password})
    assert User.objects.get(username="bruce").check_password(password) == accepted
    own = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    superuser.post("/admin/password_change/", own)
    assert User.objects.get(username="admin").check_password(password) == accepted

    stephen = User.objects.create_user("stephen", PASSWORD)
    if accepted:
        changepassword(monkeypatch, "stephen", password)
    else:
        with pytest.raises(CommandError):
            changepassword(monkeypatch, "stephen", password)
    stephen.refresh_from_db()
    assert stephen.check_password(password) == accepted


@pytest.mark.parametrize("way", ["API", "admin", "own form", "command"])
def test_every_way_of_setting_a_password_ends_the_other_sessions(
    superuser: Client, admin: User, log_in: LogIn, api: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    new = "another horse battery"
    both = {"password1": new, "password2": new}
    log_in("admin")
    here = log_in("admin").json()["Authorized"]
    match way:
        case "API":
            change = {"old_password": PASSWORD, "new_password": new}
            api.post("/api/password/", change, headers={"Authorization": here})
        case "admin":
            superuser.post(f"{USERS}{admin.pk}/password/", both)
        case "own form":
            own = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
            superuser.post("/admin/password_change/", own)
        case "command":
            changepassword(monkeypatch, "admin", new)
    assert User.objects.get().check_password(new)
    assert Session.objects.count() == (way == "API")  # the API keeps the session that changed the password


def test_command_refuses_a_password_that_is_too_long(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "x" * 129)
    with pytest.raises(CommandError, match="at most 128 characters"):
        call_command("createsuperuser", username="grace", interactive=False)
    assert not User.objects.exists()


@pytest.mark.parametrize("extra", [{}, {"unset-password": "x"}])
@pytest.mark.parametrize("name", ["admin", "bruce"])
def test_no_admin_form_removes_a_password(superuser: Client, bruce: User, name: str, extra: dict[str, str]) -> None:
    user = User.objects.get(username=name)
    path = f"{USERS}{user.pk}/password/"
    page = superuser.get(path).text
    assert 'name="usable_password"' not in page
    assert 'name="unset-password"' not in page
    for passwords in ({}, {"password1": "", "password2": ""}):
        response = superuser.post(path, {"usable_password": "false", **passwords, **extra})
        assert response.status_code == 200
        assert response.text.count("This field is required.") == 2
    assert User.objects.get(username=name).check_password(PASSWORD)

    superuser.post(f"{USERS}add/", {"username": "grace", "usable_password": "false"})
    assert not User.objects.filter(username="grace").exists()


def test_account_without_a_password_gets_one_in_the_admin(superuser: Client, log_in: LogIn) -> None:
    grace = User.objects.create_user("grace", None)
    new = {"password1": PASSWORD, "password2": PASSWORD}
    assert superuser.post(f"{USERS}{grace.pk}/password/", new).status_code == 302
    assert log_in("grace").status_code == 200


@pytest.mark.parametrize("stored", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_password_matches_in_every_unicode_form(db: None, log_in: LogIn, stored: str, typed: str) -> None:
    User.objects.create_user("grace", stored)
    assert log_in("grace", typed).status_code == 200
    assert log_in("grace", unicodedata.normalize("NFKD", typed).replace("\u0308", "")).status_code == 401


def test_password_hashed_by_an_earlier_release_is_still_accepted(
    bruce: User, log_in: LogIn, settings: Settings, argon2id: None
) -> None:
    for old in (DECOMPOSED, COMPOSED):
        User.objects.update(password=make_password(old))
        assert log_in(password=old).status_code == 200


def test_own_form_accepts_an_old_password_hashed_by_an_earlier_release(superuser: Client, admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(password=make_password(DECOMPOSED))
    superuser.force_login(User.objects.get(pk=admin.pk))
    own = {"old_password": DECOMPOSED, "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert superuser.post("/admin/password_change/", own).status_code == 302
    assert User.objects.get(pk=admin.pk).check_password(PASSWORD)


def test_none_is_not_a_password(bruce: User) -> None:
    assert not bruce.check_password(None)
    assert not User.objects.create_user("grace", None).check_password(None)
