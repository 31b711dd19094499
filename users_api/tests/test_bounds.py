"""Test that texts that are too long are refused before any slow operation."""

import json
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django import forms
from django.contrib import admin as django_admin
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.core.validators import MaxLengthValidator
from django.test import Client
from rest_framework import serializers as rest_serializers

from common.api.serializers import TextField
from users_api import forms as users_forms
from users_api import serializers
from users_api.models import LoginFailure, User, username_key
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]
USERS = "/admin/users_api/user/"
# Normalizing this text takes quadratic time, because its accents must be sorted. It fits into a body of 64 KiB.
SLOW = "a" + 5_000 * "\u0301" + 5_000 * "\u0323"


@pytest.fixture
def normalized(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that receives the length of each text that is normalized."""
    lengths: list[int] = []
    normalize = unicodedata.normalize

    def measured(form: Any, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text[:1000])  # shorten the text, so that the test is fast even if it fails

    monkeypatch.setattr(unicodedata, "normalize", measured)
    return lengths


@pytest.fixture
def superuser(admin: User) -> Client:
    """Return a browser in which the superuser is logged in."""
    browser = Client(raise_request_exception=False)
    browser.force_login(admin)
    return browser


def test_api_refuses_a_slow_name_like_a_wrong_name(bruce: User, log_in: LogIn, normalized: list[int]) -> None:
    assert log_in(SLOW).status_code == 401
    assert log_in(password=SLOW).status_code == 401
    assert max(normalized) <= 128


@pytest.mark.parametrize("path", ["/api/login/", "/admin/login/", "/admin/users/"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_name_that_exceeds_the_body_limit_is_not_normalized(
    db: None, api: Client, normalized: list[int], path: str, content_type: str
) -> None:
    name = "a" + 20_000 * "\u0301" + 20_000 * "\u0323"
    pair = {"username": name, "password": PASSWORD}
    body = json.dumps(pair) if content_type == "application/json" else urlencode(pair)
    assert api.post(path, body, content_type=content_type).status_code in (401, 413)
    assert max(normalized, default=0) <= 128


def test_admin_refuses_a_slow_name_like_a_wrong_name(admin: User, api: Client, normalized: list[int]) -> None:
    for pair in ({"username": SLOW, "password": PASSWORD}, {"username": "admin", "password": SLOW}):
        response = api.post("/admin/login/", pair)
        assert response.status_code == 200
        assert "Please enter the correct username and password" in response.text
    assert max(normalized) <= 128
    assert LoginFailure.objects.count() == 2


def test_new_account_with_a_slow_name_is_refused(
    superuser: Client, admin: User, bearer: Callable[[User], dict[str, str]], normalized: list[int]
) -> None:
    answer = superuser.post("/admin/users/", {"username": SLOW, "password": PASSWORD}, headers=bearer(admin))
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["username"]
    page = superuser.post(f"{USERS}add/", {"username": SLOW, "password1": PASSWORD, "password2": PASSWORD})
    assert page.status_code == 200
    assert "at most 50 characters" in page.text
    with pytest.raises(CommandError):
        call_command("createsuperuser", username=SLOW, interactive=False)
    with pytest.raises(ValidationError):
        User.objects.create_user(SLOW, PASSWORD)
    with pytest.raises(ValidationError):
        User(username=SLOW).save()
    assert max(normalized, default=0) <= 128
    assert User.objects.count() == 1


def test_slow_password_is_refused_by_every_form(
    superuser: Client, admin: User, bearer: Callable[[User], dict[str, str]], normalized: list[int]
) -> None:
    answer = superuser.post("/admin/users/", {"username": "grace", "password": SLOW}, headers=bearer(admin))
    assert list(answer.json()["errors"]) == ["password"]
    for path, form in (
        (f"{USERS}add/", {"username": "grace", "password1": SLOW, "password2": SLOW}),
        (f"{USERS}{admin.pk}/password/", {"password1": SLOW, "password2": SLOW}),
        ("/admin/password_change/", {"old_password": PASSWORD, "new_password1": SLOW, "new_password2": SLOW}),
        ("/admin/password_change/", {"old_password": SLOW, "new_password1": PASSWORD, "new_password2": PASSWORD}),
    ):
        page = superuser.post(path, form)
        assert page.status_code == 200
        assert "at most 128 characters" in page.text
    assert max(normalized) <= 128
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize("name", ["x" * 51, SLOW])
def test_key_is_not_computed_for_a_name_that_is_too_long(name: str) -> None:
    with pytest.raises(ValidationError):
        username_key(name)


def test_names_that_are_too_long_count_as_one_name(db: None, log_in: LogIn) -> None:
    for number in range(10):
        assert log_in("x" * (51 + number)).status_code == 401
    assert log_in("x" * 99).status_code == 429
    # These failures do not count for the account whose name has 50 characters.
    assert log_in("x" * 50).status_code == 401


def text_fields(module: Any, base: type, field: type) -> list[tuple[str, Any]]:
    """Return the fields of type `field` in all subclasses of `base` in a module.

    Each result is a tuple of the field's name and the field.
    """
    found = []
    for name, each in vars(module).items():
        if isinstance(each, type) and issubclass(each, base) and each.__module__ == module.__name__:
            fields = getattr(each, "_declared_fields", None) or getattr(each, "base_fields", {})
            found += [(f"{name}.{key}", value) for key, value in fields.items() if isinstance(value, field)]
    return found


def test_every_text_field_of_a_serializer_has_a_maximum_length() -> None:
    fields = text_fields(serializers, rest_serializers.Serializer, TextField)
    unbounded = {name for name, field in fields if field.max_length is None}
    # `users_api.backends` checks the length of these two fields.
    assert unbounded == {"LoginSerializer.username", "LoginSerializer.password"}


def test_every_text_field_of_a_form_has_a_maximum_length(admin: User) -> None:
    all_forms = [
        users_forms.UserCreationForm(),
        users_forms.UserForm(instance=admin),
        users_forms.SetPasswordForm(admin),
        users_forms.OwnPasswordForm(admin, address="192.0.2.1"),
    ]
    named = {name for name in vars(users_forms) if getattr(users_forms, name) in map(type, all_forms)}
    assert named == {name for name, each in vars(users_forms).items() if issubclass_here(each)} - {"BoundedPasswords"}
    for form in all_forms:
        for name, field in form.fields.items():
            if type(field).__name__ in ("CharField", "UsernameField"):
                assert any(isinstance(each, MaxLengthValidator) for each in field.validators), (form, name)


def issubclass_here(each: Any) -> bool:
    return isinstance(each, type) and issubclass(each, forms.BaseForm) and each.__module__ == users_forms.__name__


@pytest.mark.parametrize(
    "query",
    [
        "username__regex=(a%2B)%2B%24",
        "username__iregex=(a%2B)%2B%24",
        "username__contains=a",
        "username__icontains=a",
        "username=bruce",
        "password__startswith=argon2",
        "username_key__regex=.",
        "refresh_tokens__digest__startswith=a",
        "logentry__change_message__regex=.",
        "groups__name=a",
        "is_superuser__exact=1",
        "is_active__regex=.",
        "creation__year=2026",
        "nothing=1",
    ],
)
def test_admin_refuses_lookups_that_are_not_filters(superuser: Client, query: str) -> None:
    assert superuser.get(f"{USERS}?{query}").status_code == 400


@pytest.mark.parametrize("name", ["is_active", "is_staff"])
def test_admin_filters_still_work(superuser: Client, bruce: User, name: str) -> None:
    User.objects.filter(pk=bruce.pk).update(is_active=False)
    listed = superuser.get(f"{USERS}?{name}__exact=0")
    assert listed.status_code == 200
    assert ">bruce</a>" in listed.text
    assert ">admin</a>" not in listed.text


@pytest.mark.parametrize("value", ["x", "2", "x" * 3000])
def test_admin_filter_with_an_invalid_value_shows_the_list(superuser: Client, value: str) -> None:
    response = superuser.get(f"{USERS}?is_active__exact={value}")
    assert response.status_code in (200, 302)


@pytest.mark.parametrize("term", ["x" * 51, "a " * 2000, SLOW[:400], "a\x00"])
def test_admin_refuses_a_search_that_cannot_match_a_name(superuser: Client, term: str) -> None:
    assert superuser.get(USERS, {"q": term}).status_code == 400
    autocomplete = {"app_label": "admin", "model_name": "logentry", "field_name": "user", "term": term}
    assert superuser.get("/admin/autocomplete/", autocomplete).status_code == 400


def test_admin_autocomplete_still_finds_a_name(superuser: Client, bruce: User) -> None:
    autocomplete = {"app_label": "admin", "model_name": "logentry", "field_name": "user", "term": "RUC"}
    assert superuser.get("/admin/autocomplete/", autocomplete).json()["results"] == [
        {"id": str(bruce.pk), "text": "bruce"}
    ]


@pytest.mark.parametrize(
    "query",
    [
        "p=" + "9" * 3000,
        "p=-1",
        "p=x",
        "all=" + "x" * 3000,
        "o=" + ".".join(["1"] * 1500),
        "o=" + "9" * 3000,
        "o=x",
        "_popup=" + "x" * 3000,
        "_to_field=" + "x" * 3000,
        "_facets=" + "x" * 3000,
        "e=" + "x" * 3000,
        "_changelist_filters=" + "x" * 3000,
    ],
)
@pytest.mark.parametrize("path", [USERS, f"{USERS}add/"])
def test_long_or_invalid_admin_parameter_is_not_a_server_error(superuser: Client, path: str, query: str) -> None:
    assert superuser.get(f"{path}?{query}").status_code in (200, 302, 400)


@pytest.mark.parametrize("selected", ["x", "9" * 3000, "1" * 30, "-1", "\x00", ""])
def test_admin_action_on_an_invalid_id_is_not_a_server_error(superuser: Client, selected: str) -> None:
    form = {"action": "switch_off", "_selected_action": selected}
    assert superuser.post(USERS, form).status_code in (200, 302, 400)


def test_admin_site_only_has_accounts() -> None:
    # Another model would need the same limits on lookups and search.
    assert list(django_admin.site._registry) == [User]
