"""Calls to users_api."""

from typing import Any

import requests
from django.conf import settings

from web.backends import http

SERVICE = "log-in"


def log_in(username: str, password: str, address: str) -> tuple[str, str]:
    """Return the value of an Authorization header and a refresh token, for a client at this IP address."""
    response = _post(
        "/api/login/", {"username": username, "password": password}, headers={"X-Forwarded-For": address}
    )
    body = http.json(SERVICE, response)
    return body["Authorized"], body["refresh"]


def refresh(refresh: str) -> str:
    """Return the value of a new Authorization header."""
    authorized: str = http.json(SERVICE, _post("/api/token/refresh/", {"refresh": refresh}))["Authorized"]
    return authorized


def log_out(refresh: str) -> None:
    """End a refresh token."""
    _post("/api/logout/", {"refresh": refresh})


def _post(path: str, body: dict[str, str], **kwargs: Any) -> requests.Response:
    return http.call(SERVICE, "POST", settings.USER_BACKEND_URL + path, json=body, **kwargs)
