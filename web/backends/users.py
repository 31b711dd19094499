"""Calls to users_api.

`authorization` is the value of the Authorization header. `client` is the dict of headers that `client()` returns.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from common.http.addresses import client_address
from web.backends import http

SERVICE = "users-api"


@dataclass(frozen=True)
class Session:
    """A session of a user, as users_api returns it."""

    id: int
    began: datetime
    used: datetime
    ends: datetime
    network: str
    device: str
    current: bool


def client(request: HttpRequest) -> dict[str, str]:
    """Return headers that tell users_api the browser's address and User-Agent."""
    agent = re.sub(r"[^\x20-\x7e]", "", request.META.get("HTTP_USER_AGENT", "")).strip()
    return {"X-Forwarded-For": client_address(request), "User-Agent": agent[:500] or "unknown"}


def log_in(username: str, password: str, client: dict[str, str]) -> tuple[str, str]:
    """Log in. Return a value for the Authorization header, and a refresh token."""
    return _tokens(_post("/api/login/", {"username": username, "password": password}, headers=client))


def refresh(refresh: str, client: dict[str, str]) -> tuple[str, str]:
    """Exchange a refresh token for new tokens.

    Return a new value for the Authorization header, and a new refresh token.
    """
    return _tokens(_post("/api/token/refresh/", {"refresh": refresh}, headers=client))


def log_out(refresh: str) -> None:
    """End the session that the refresh token belongs to."""
    _post("/api/logout/", {"refresh": refresh}, expected=204)


def sign_up(username: str, password: str, client: dict[str, str]) -> None:
    """Create an account."""
    _post("/api/users/", {"username": username, "password": password}, expected=201, headers=client)


def change_password(authorization: str, old: str, new: str, client: dict[str, str]) -> None:
    """Change the user's password."""
    headers = client | {"Authorization": authorization}
    _post("/api/password/", {"old_password": old, "new_password": new}, expected=204, headers=headers)


def sessions(authorization: str) -> list[Session]:
    """Return the user's sessions, most recently used first."""
    answer = _call("GET", "/api/sessions/", expected=200, headers={"Authorization": authorization})
    if not isinstance(answer.body, list):
        raise http.unexpected_body(SERVICE)
    try:
        return [_session(item) for item in answer.body]
    except (ValueError, OverflowError):
        raise http.unexpected_body(SERVICE) from None


def end_session(authorization: str, session_id: int) -> None:
    """End one of the user's sessions."""
    _call("DELETE", f"/api/sessions/{session_id}/", expected=204, headers={"Authorization": authorization})


def end_other_sessions(authorization: str) -> None:
    """End all of the user's sessions except the current one."""
    _call("DELETE", "/api/sessions/", expected=204, headers={"Authorization": authorization})


def check(timeout: float) -> None:
    """Raise a `BackendError` unless the API reports success within `timeout` seconds.

    The API reports success if it can read its database.
    """
    _call("GET", "/api/status/", expected=204, read_timeout=timeout)


def _tokens(answer: http.Answer) -> tuple[str, str]:
    match answer.body:
        case {"Authorized": str(authorization), "refresh": str(refresh)}:
            return authorization, refresh
    raise http.unexpected_body(SERVICE)


def _session(item: Any) -> Session:
    match item:
        case {
            "id": int(id),
            "began": str(began),
            "used": str(used),
            "ends": str(ends),
            "network": str(network),
            "device": str(device),
            "current": bool(current),
        }:
            times = [datetime.fromisoformat(time).astimezone(UTC) for time in (began, used, ends)]
            return Session(id, times[0], times[1], times[2], network, device, current)
    raise ValueError("not a session")


def _post(path: str, body: dict[str, str], *, expected: int = 200, **kwargs: Any) -> http.Answer:
    return _call("POST", path, expected=expected, json=body, **kwargs)


def _call(method: str, path: str, *, expected: int, **kwargs: Any) -> http.Answer:
    return http.call(SERVICE, method, settings.USER_BACKEND_URL + path, expected=expected, **kwargs)
