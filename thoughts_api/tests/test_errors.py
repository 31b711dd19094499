"""Test paths with and without a trailing slash, and the error format."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from pytest_django import Settings
from rest_framework.test import APIClient

from common.tokens.keys import key_set
from thoughts_api.models import Thought

pytestmark = pytest.mark.django_db

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
ALLOWED = {
    "/api/thoughts/": {"GET", "HEAD", "OPTIONS"},
    "/api/thoughts/1/": {"GET", "HEAD", "OPTIONS"},
    "/api/me/thoughts/": {"GET", "HEAD", "OPTIONS", "POST"},
    "/api/me/thoughts/1/": {"DELETE", "OPTIONS"},
    "/admin/thoughts/1/": {"DELETE", "OPTIONS"},
    "/schema/": {"GET", "HEAD", "OPTIONS"},
}


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("method", METHODS)
def test_trailing_slash_is_optional(staff: APIClient, path: str, method: str) -> None:
    answers = []
    for form in (path, path.rstrip("/")):
        Thought.objects.all().delete()
        Thought.objects.create(id=1, username="admin", text="One", timestamp=datetime(2026, 1, 1, tzinfo=UTC))
        response = staff.generic(method, form, b'{"text": "Two"}', content_type="application/json")
        body = b"" if response.status_code == 201 else response.content
        answers.append((response.status_code, body, response.headers.get("Allow")))
    assert answers[0] == answers[1]
    # The API answers both forms of the path without a redirect. Clients may follow a redirect with another method.
    expected = {"POST": 201, "DELETE": 204}.get(method, 200) if method in ALLOWED[path] else 405
    assert answers[0][0] == expected


@pytest.mark.parametrize("path", ALLOWED)
def test_unsupported_method_is_405(staff: APIClient, path: str) -> None:
    for method in {*METHODS, "TRACE", "NONSENSE"} - ALLOWED[path]:
        response = staff.generic(method, path)
        assert response.status_code == 405
        assert set(response["Allow"].split(", ")) == ALLOWED[path]
        if method != "HEAD":
            assert list(response.json()) == ["message"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/", "/api/thoughts/x/", "/api/thoughts/1/2/", "/admin/", "/api/users"]
)
@pytest.mark.parametrize("method", METHODS)
def test_unknown_path_is_404(anonymous: APIClient, path: str, method: str) -> None:
    response = anonymous.generic(method, path)
    assert response.status_code == 404
    if method != "HEAD":
        assert list(response.json()) == ["message"]


@pytest.mark.parametrize("path", ["/api/thoughts/", "/nothing"])
def test_unknown_host_is_400(anonymous: APIClient, path: str) -> None:
    response = anonymous.get(path, headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert response.json() == {"message": "The request is malformed.", "errors": {}}


def test_too_many_parameters_are_400(anonymous: APIClient) -> None:
    query = "&".join(f"parameter{number}=x" for number in range(2000))
    response = anonymous.get(f"/api/thoughts/?{query}")
    assert response.status_code == 400
    assert list(response.json()) == ["message", "errors"]


@pytest.fixture(params=[OperationalError, InterfaceError])
def no_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make every query fail."""

    def refuse(*args: Any) -> None:
        raise request.param("server closed the connection unexpectedly: password=secret")

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/thoughts/"),
        ("GET", "/api/thoughts/1/"),
        ("GET", "/api/me/thoughts/"),
        ("POST", "/api/me/thoughts/"),
        ("DELETE", "/api/me/thoughts/1/"),
        ("DELETE", "/admin/thoughts/1/"),
    ],
)
@pytest.mark.usefixtures("no_database")
def test_database_outage_is_503_with_retry_after(staff: APIClient, method: str, path: str) -> None:
    response = staff.generic(method, path, b'{"text": "One"}', content_type="application/json")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert list(response.json()) == ["message"]
    assert "secret" not in response.json()["message"]


def test_request_with_a_token_is_503_while_no_key_is_known(
    bruce: APIClient, anonymous: APIClient, settings: Settings
) -> None:
    def load() -> dict[str, Any]:
        raise OSError("users_api is unavailable")

    settings.TOKENS_JWKS = load
    key_set.cache_clear()
    response = bruce.get("/api/me/thoughts/")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert list(response.json()) == ["message"]
    # Public paths still work.
    assert anonymous.get("/api/thoughts/").status_code == 200


def test_internal_error_is_500_without_details(anonymous: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("thoughts_api.views.search", fail)
    response = anonymous.get("/api/thoughts/")
    assert response.status_code == 500
    assert response.json() == {"message": "Something went wrong on our side."}
