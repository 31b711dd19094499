"""Test that texts that are too long are refused without a call to an API."""

from typing import Any

import pytest
from django.forms import CharField
from django.test import Client
from pytest_django import Settings

from web import forms
from web.tests.conftest import PASSWORD, SIGN_UP, Backend

FORMS = [each for each in vars(forms).values() if isinstance(each, type) and issubclass(each, forms.BackendForm)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [251, 60_000])
def test_every_text_field_of_a_form_has_a_maximum_length(form: Any, length: int) -> None:
    fields = {name for name, field in form.base_fields.items() if isinstance(field, CharField)}
    errors = form(dict.fromkeys(fields, "x" * length)).errors
    assert errors.keys() == fields
    assert all(str(length) in str(messages) for messages in errors.values())


@pytest.mark.parametrize(
    ("path", "fields", "limits"),
    [
        ("/signup/", ("username", "password"), (50, 128)),
        ("/account/password", ("old_password", "new_password"), (128, 128)),
    ],
)
def test_text_that_is_too_long_is_shown_as_an_error(
    bruce: Client, backend: Backend, settings: Settings, path: str, fields: tuple[str, ...], limits: tuple[int, ...]
) -> None:
    settings.SIGN_UP = "open"
    longest = {name: "𐌰" * limit for name, limit in zip(fields, limits, strict=True)}
    for name, limit in zip(fields, limits, strict=True):
        response = bruce.post(path, longest | {name: "𐌰" * (limit + 1)})
        assert response.status_code == 400
        assert f"Use at most {limit} characters. You have typed {limit + 1}." in response.text
        assert "maxlength" not in response.text
    assert not {SIGN_UP, PASSWORD} & {*backend.calls()}
    assert bruce.post(path, longest).status_code == 302
    assert [each.body for each in backend.received if (each.method, each.path) in (SIGN_UP, PASSWORD)] == [longest]
