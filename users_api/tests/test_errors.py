"""The one body of every error, also for a path that is nowhere."""

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
def test_a_path_that_is_nowhere_is_404(db: None, path: str, method: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path)
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    if method != "HEAD":
        assert response.json() == {"message": "There is nothing at this address."}


def test_a_host_that_is_not_ours_is_400(db: None, api: Client) -> None:
    response = api.get("/.well-known/jwks.json", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert response.json() == {"message": "The request is malformed.", "errors": {}}


@pytest.mark.parametrize("path", ["/api/login/", "/api/token/refresh/", "/api/logout/", "/admin/login/"])
def test_without_a_database_it_is_503_with_a_time_to_come_again(
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


def test_a_fault_of_ours_is_500_and_says_nothing_of_it(
    bruce: User, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("users_api.sessions.log_in", None)
    response = api.post("/api/login/", {"username": "bruce", "password": PASSWORD})
    assert response.status_code == 500
    assert response.json() == {"message": "Something went wrong on our side."}
