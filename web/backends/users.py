"""Calls to users_api."""

from typing import Any

from django.conf import settings

from web.backends import http

SERVICE = "log-in"


def log_in(username: str, password: str, address: str) -> tuple[str, str]:
    """Return the value of an Authorization header and a refresh token, for a client at this IP address."""
    answer = _post("/api/login/", {"username": username, "password": password}, headers={"X-Forwarded-For": address})
    match answer.body:
        case {"Authorized": str(authorization), "refresh": str(refresh)}:
            return authorization, refresh
    raise http.unexpected_body(SERVICE)


def refresh(refresh: str) -> str:
    """Return the value of a new Authorization header."""
    match _post("/api/token/refresh/", {"refresh": refresh}).body:
        case {"Authorized": str(authorization)}:
            return authorization
    raise http.unexpected_body(SERVICE)


def log_out(refresh: str) -> None:
    """End a refresh token."""
    _post("/api/logout/", {"refresh": refresh}, expected=204)


def _post(path: str, body: dict[str, str], *, expected: int = 200, **kwargs: Any) -> http.Answer:
    return http.call(SERVICE, "POST", settings.USER_BACKEND_URL + path, expected=expected, json=body, **kwargs)
