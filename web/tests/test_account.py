"""Test the account page (sessions and password) and the sign-up page."""

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from web.tests.conftest import (
    END_ONE,
    END_OTHERS,
    LOGIN,
    LOGOUT,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    SESSIONS,
    SIGN_UP,
    Backend,
    session,
)

CHANGE = {"old_password": "my password", "new_password": " another one "}
GRACE = {"username": "grace", "password": " nanosecond-wire "}


def test_own_sessions_are_listed(bruce: Client, backend: Backend) -> None:
    response = bruce.get("/account/")
    assert response.status_code == 200
    text = re.sub(r"\s+", " ", response.text)
    assert text.index("Firefox on Linux") < text.index("This device") < text.index("Safari on iOS")
    assert '<time datetime="2026-01-02T03:04:05+00:00">2 Jan 2026, 03:04 UTC</time> from 192.0.2.0/24' in text
    # Only the other session has a button that ends it.
    assert re.findall(r'action="/account/sessions/(.*?)"', text) == ["7/delete", "delete"]
    assert backend.received[0].headers["authorization"] == bruce.cookies[SESSION_COOKIE].value


@pytest.mark.parametrize("body", [None, {}, [{}], [session(id="1")], [session(used="yesterday")], "sessions", 5])
def test_invalid_list_is_treated_as_unavailable(bruce: Client, backend: Backend, body: Any) -> None:
    backend.answer(SESSIONS, 200, body)
    response = bruce.get("/account/")
    assert response.status_code == 503
    assert "Change your password" in response.text


def test_account_page_shows_that_users_api_is_unavailable(bruce: Client, backend: Backend) -> None:
    backend.answer(SESSIONS, 503)
    response = bruce.get("/account/")
    assert response.status_code == 503
    assert "login service" in response.text
    assert "Log out everywhere" in response.text


@pytest.mark.parametrize("path", ["/account/", "/account/password", "/account/logout-everywhere"])
def test_account_pages_redirect_anonymous_users_to_login(visitor: Client, backend: Backend, path: str) -> None:
    assert visitor.get(path)["Location"].startswith("/login/?next=%2Faccount")
    assert visitor.post(path).status_code in (302, 405)
    assert backend.calls() == []


def test_a_session_is_ended(bruce: Client, backend: Backend) -> None:
    response = bruce.post("/account/sessions/7/delete")
    assert (response.status_code, response["Location"]) == (302, "/account/")
    assert backend.calls() == [END_ONE]
    assert "That device is logged out." in bruce.get("/account/").text


def test_ending_a_session_that_no_longer_exists_is_not_an_error(bruce: Client, backend: Backend) -> None:
    backend.answer(END_ONE, 404, {"message": "No."})
    assert bruce.post("/account/sessions/7/delete")["Location"] == "/account/"


def test_all_other_sessions_are_ended(bruce: Client, backend: Backend) -> None:
    response = bruce.post("/account/sessions/delete")
    assert (response.status_code, response["Location"]) == (302, "/account/")
    assert backend.calls() == [END_OTHERS]
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)


def test_log_out_everywhere_ends_this_session_too(bruce: Client, backend: Backend) -> None:
    response = bruce.post("/account/logout-everywhere")
    assert response["Location"] == "/login/"
    assert backend.calls() == [END_OTHERS, LOGOUT]
    assert response.cookies[SESSION_COOKIE].value == response.cookies[REFRESH_COOKIE].value == ""
    assert "You are logged out." in bruce.get("/login/").text


def test_log_out_everywhere_keeps_this_session_if_the_others_cannot_be_ended(bruce: Client, backend: Backend) -> None:
    backend.answer(END_OTHERS, 503)
    response = bruce.post("/account/logout-everywhere")
    assert response.status_code == 503
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)


def test_password_form_names_the_user_for_password_managers(bruce: Client, backend: Backend) -> None:
    field = re.search('<input[^>]*name="username"[^>]*>', bruce.get("/account/").text)
    assert field
    assert 'value="bruce"' in field[0]
    assert 'autocomplete="username"' in field[0]
    assert "hidden" in field[0]


def test_a_password_is_changed(bruce: Client, backend: Backend) -> None:
    response = bruce.post("/account/password", CHANGE)
    assert (response.status_code, response["Location"]) == (302, "/account/")
    assert backend.calls() == [PASSWORD]
    assert backend.received[0].body == CHANGE
    assert "Your password has been changed." in bruce.get("/account/").text


@pytest.mark.parametrize(
    ("status", "body", "shown", "why"),
    [
        (400, {"message": "m", "errors": {"old_password": ["The password is wrong."]}}, 400, "The password is wrong."),
        (400, {"message": "m", "errors": {"new_password": ["Too common."]}}, 400, "New password: Too common."),
        (429, {"message": "m"}, 429, "14 minutes"),
        (503, None, 503, "login service"),
    ],
)
def test_failed_password_change_shows_the_reason(
    bruce: Client, backend: Backend, status: int, body: Any, shown: int, why: str
) -> None:
    backend.answer(PASSWORD, status, body, Retry_After="800")
    response = bruce.post("/account/password", CHANGE)
    assert response.status_code == shown
    assert why in response.text
    assert "my password" not in response.text
    assert "another one" not in response.text


@pytest.mark.parametrize("pair", [{}, {"old_password": "x"}, {"new_password": "x"}])
def test_empty_password_is_an_error_without_an_api_call(bruce: Client, backend: Backend, pair: dict[str, str]) -> None:
    response = bruce.post("/account/password", pair)
    assert response.status_code == 400
    assert "This field is required" in response.text
    assert PASSWORD not in backend.calls()


@pytest.fixture
def open_sign_up(settings: Settings) -> None:
    settings.SIGN_UP = "open"


def test_sign_up_also_logs_in(visitor: Client, backend: Backend, open_sign_up: None) -> None:
    assert '<a href="/signup/?next=%2Fsearch">Sign up</a>' in visitor.get("/login/?next=/search").text
    backend.received.clear()
    assert 'name="next" value="/search"' in visitor.get("/signup/?next=/search").text
    response = visitor.post("/signup/", GRACE | {"next": "/search"}, headers={"User-Agent": "Test"})
    assert (response.status_code, response["Location"]) == (302, "/search")
    assert backend.calls() == [SIGN_UP, LOGIN]
    for received in backend.received:
        assert received.body == GRACE
        assert received.headers["x-forwarded-for"] == "127.0.0.1"
        assert received.headers["user-agent"] == "Test"
    assert response.cookies[SESSION_COOKIE].value.startswith("Bearer ")
    assert "Welcome, \u2068grace\u2069" in visitor.get("/search").text


@pytest.mark.parametrize(
    ("status", "body", "shown", "why"),
    [
        (400, {"message": "m", "errors": {"username": ["It exists."]}}, 400, "User name: It exists."),
        (400, {"message": "m", "errors": {"password": ["Too common."]}}, 400, "Password: Too common."),
        (429, {"message": "m"}, 429, "14 minutes"),
        (403, {"message": "Closed."}, 403, "Sign-up is closed"),
        (503, None, 503, "login service"),
    ],
)
def test_failed_sign_up_shows_the_reason(
    visitor: Client, backend: Backend, open_sign_up: None, status: int, body: Any, shown: int, why: str
) -> None:
    backend.answer(SIGN_UP, status, body, Retry_After="800")
    response = visitor.post("/signup/", GRACE)
    assert response.status_code == shown
    assert why in response.text
    assert "nanosecond" not in response.text
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)


def test_sign_up_is_confirmed_even_if_the_login_fails(visitor: Client, backend: Backend, open_sign_up: None) -> None:
    backend.answer(LOGIN, 503)
    assert visitor.post("/signup/", GRACE)["Location"] == "/login/"
    assert "Your account is ready." in visitor.get("/login/").text


def test_sign_up_page_names_the_contact_while_sign_up_is_closed(
    visitor: Client, backend: Backend, settings: Settings
) -> None:
    settings.SIGN_UP_CONTACT = "grace@example.org"
    assert "How to get an account" in visitor.get("/login/").text
    backend.received.clear()
    page = visitor.get("/signup/")
    assert page.status_code == 200
    assert "ask grace@example.org" in page.text
    assert visitor.post("/signup/", GRACE).status_code == 403
    assert backend.calls() == []


def test_sign_up_page_redirects_logged_in_users(bruce: Client, backend: Backend, open_sign_up: None) -> None:
    assert bruce.get("/signup/")["Location"] == "/thoughts/"
