"""Test that API responses reveal no password, and private ones are not cached.

The tests call every operation of the API.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from pytest_django import Settings

from users_api.models import User

PASSWORD, NEW_PASSWORD = "canary-4711-old", "canary-4711-new"
PUBLIC = {"/.well-known/jwks.json", "/api/status/"}


@pytest.fixture
def answers(
    api: Client, admin: User, bruce: User, bearer: Callable[[User], dict[str, str]], settings: Settings
) -> list[Any]:
    """Call every operation, with valid and invalid data, and return the responses."""
    settings.SIGN_UP = "open"
    found = []

    def call(method: str, path: str, status: int, body: Any = None, token: str = "") -> Any:
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": token} if token else None
        response = api.generic(method, path, data, content_type="application/json", headers=headers)
        assert response.status_code == status, response.content
        found.append(response)
        return response

    staff, user = bearer(admin)["Authorization"], bearer(bruce)["Authorization"]
    grace = {"username": "grace", "password": PASSWORD}
    call("POST", "/admin/users/", 401, grace)
    call("POST", "/admin/users/", 403, grace, user)
    for path, token in (("/admin/users/", staff), ("/api/users/", "")):
        name = {"username": path.strip("/").replace("/", "-")}
        call("POST", path, 201, grace | name, token)
        call("POST", path, 400, grace | name, token)
        for wrong in (PASSWORD * 10, [PASSWORD], {PASSWORD: PASSWORD}, f"{PASSWORD}\x00"):
            call("POST", path, 400, grace | {"password": wrong}, token)
        call("POST", path, 400, f'{{"password": "{PASSWORD}', token)

    account = {"username": "api-users"}
    call("POST", "/api/login/", 401, account | {"password": f"{PASSWORD} wrong"})
    call("POST", "/api/login/", 400, account | {"password": [PASSWORD]})
    tokens = call("POST", "/api/login/", 200, account | {"password": PASSWORD}).json()
    call("POST", "/api/token/refresh/", 401, {"refresh": PASSWORD})
    tokens = call("POST", "/api/token/refresh/", 200, {"refresh": tokens["refresh"]}).json()
    token = tokens["Authorized"]
    call("GET", "/api/sessions/", 401)
    call("GET", "/api/sessions/", 200, token=token)
    call("DELETE", "/api/sessions/", 204, token=token)
    call("DELETE", "/api/sessions/0/", 404, token=token)
    for old, new in ((NEW_PASSWORD, PASSWORD), (PASSWORD, "4711"), (PASSWORD, NEW_PASSWORD * 10)):
        call("POST", "/api/password/", 400, {"old_password": old, "new_password": new}, token)
    call("POST", "/api/password/", 204, {"old_password": PASSWORD, "new_password": NEW_PASSWORD}, token)
    call("POST", "/api/logout/", 204, {"refresh": tokens["refresh"]})
    call("GET", "/.well-known/jwks.json", 200)
    call("GET", "/api/status/", 204)
    return found


def path(response: Any) -> str:
    """Return the path of the request, as the OpenAPI document writes it."""
    return "/" + re.sub(r"<int:(\w+)>", r"{\1}", response.resolver_match.route)


def test_all_calls_are_made(answers: list[Any]) -> None:
    document = SchemaGenerator().get_schema(public=True)
    operations = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(each.request["REQUEST_METHOD"], path(each)) for each in answers} == operations


def test_no_response_contains_a_password(answers: list[Any]) -> None:
    hashes = User.objects.values_list("password", flat=True)
    for response in answers:
        text = response.content.decode() + str(response.headers)
        assert "canary" not in text
        assert not [each for each in hashes if each in text]


def test_responses_with_personal_data_or_tokens_are_not_cached(answers: list[Any]) -> None:
    # RFC 6749 section 5.1 requires `no-store` for tokens.
    for response in answers:
        if path(response) not in PUBLIC:
            assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}, path(response)
            assert "ETag" not in response
