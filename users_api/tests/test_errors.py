"""Test that all errors have the same body, even for unknown paths."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from users_api.models import User
from users_api.tests.conftest import PASSWORD

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api/", "/api/login/x", "/api/thoughts/", "/admin/nothing", "/admin/thoughts/1/", "/admin/users/1/"],
)
@pytest.mark.parametrize("method", METHODS)
def test_unknown_path_is_404(db: None, path: str, method: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    if method != "HEAD":
        assert response.json() == {"message": "There is nothing at this address."}


@pytest.mark.parametrize("path", ["/api/login/", "/admin/login/"])
def test_wrong_method_is_405(db: None, api: Client, path: str) -> None:
    response = api.delete(path)
    assert response.status_code == 405
    assert "POST" in response["Allow"]
    assert response.json() == {"message": 'Method "DELETE" not allowed.'}


def test_foreign_host_is_400(db: None, api: Client) -> None:
    response = api.get("/.well-known/jwks.json", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert response.json() == {"message": "The request is malformed.", "errors": {}}


@pytest.mark.parametrize("path", ["/api/login/", "/api/token/refresh/", "/api/logout/", "/admin/login/"])
def test_database_outage_is_503_with_retry_after(
    bruce: User, log_in: Callable[..., Any], api: Client, path: str
) -> None:
    refresh = log_in().json()["refresh"]

    def refuse(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(refuse):
        response = api.post(path, {"username": "bruce", "password": "bruce", "refresh": refresh})
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize("path", ["/api/status/", "/api/status"])
def test_status_tells_whether_the_database_works(bruce: User, api: Client, path: str) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    response = api.get(path)
    assert (response.status_code, response.content, response["Cache-Control"]) == (204, b"", "no-store")
    with connection.execute_wrapper(refuse):
        assert api.get(path).status_code == 503
    assert api.get(path).status_code == 204


def test_internal_error_is_500_without_details(bruce: User, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users_api.sessions.log_in", None)
    response = api.post("/api/login/", {"username": "bruce", "password": PASSWORD})
    assert response.status_code == 500
    assert response.json() == {"message": "Something went wrong on our side."}
