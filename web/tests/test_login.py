"""Test the login and logout pages."""

from typing import Any

import pytest
from django.test import Client

from web.tests.conftest import LOGIN, LOGOUT, REFRESH_COOKIE, SESSION_COOKIE, Backend, authorization

PAIR = {"username": "bruce", "password": "my password"}
FOREIGN_PATHS = [
    "https://evil.example/",
    "//evil.example/",
    "//",
    "//?evil",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "http:evil",
    " //evil.example",
    "/\t/evil.example",
    "thoughts/",
    "/" + "x" * 2000,
    "\x00",
    "//",
    "///",
    "/\\",
    "/\\/",
    "//@",
    "//@evil.example",
    "//?x=1",
    "//[",
    "/\nthoughts/",
    "/\r\n/evil.example",
    "/thoughts/\x7f",
    "/thoughts/\u2028",
    "\t//evil.example",
]


def test_correct_login_sets_both_cookies_and_redirects_to_the_thoughts(visitor: Client, backend: Backend) -> None:
    response = visitor.post("/login/", PAIR)
    assert (response.status_code, response["Location"]) == (302, "/thoughts/")
    assert backend.received[0].body == PAIR
    assert response.cookies[SESSION_COOKIE].value.startswith("Bearer ")
    assert response.cookies[REFRESH_COOKIE].value == "a-refresh-token"
    assert visitor.get("/thoughts/").status_code == 200


def test_spaces_around_a_password_are_kept(visitor: Client, backend: Backend) -> None:
    visitor.post("/login/", {"username": "bruce", "password": " a b "})
    assert backend.received[0].body["password"] == " a b "


@pytest.mark.parametrize("path", ["/thoughts/?before=5", "/search?search=%C3%A4", "/"])
def test_login_redirects_to_next(visitor: Client, backend: Backend, path: str) -> None:
    assert f'value="{path}"' in visitor.get("/login/", {"next": path}).text
    assert visitor.post("/login/", PAIR | {"next": path})["Location"] == path


@pytest.mark.parametrize("path", FOREIGN_PATHS)
def test_next_on_another_site_is_ignored(visitor: Client, backend: Backend, path: str) -> None:
    assert visitor.post("/login/", PAIR | {"next": path})["Location"] == "/thoughts/"
    assert "evil" not in visitor.get("/login/", {"next": path}, follow=False).text
    visitor.cookies[SESSION_COOKIE] = authorization()
    assert visitor.get("/login/", {"next": path})["Location"] == "/thoughts/"


def test_next_is_kept_after_a_wrong_password(visitor: Client, backend: Backend) -> None:
    backend.answer(LOGIN, 401, {"message": "The user name or the password is wrong."})
    assert 'name="next" value="/search"' in visitor.post("/login/", PAIR | {"next": "/search"}).text


@pytest.mark.parametrize(
    ("status", "body", "shown", "why"),
    [
        (401, {"message": "m"}, 401, "The user name or the password is wrong."),
        (429, {"message": "m"}, 429, "Too many attempts. Try again in 14 minutes."),
        (400, {"message": "m", "errors": {"username": ["Odd characters."]}}, 400, "Odd characters."),
        (503, None, 503, "The login service is temporarily unavailable"),
        (500, b"<html>", 503, "The login service is temporarily unavailable"),
        (200, {}, 503, "The login service is temporarily unavailable"),
    ],
)
def test_failed_login_shows_the_reason_and_keeps_only_the_user_name(
    visitor: Client, backend: Backend, status: int, body: Any, shown: int, why: str
) -> None:
    backend.answer(LOGIN, status, body, Retry_After="800")
    response = visitor.post("/login/", PAIR)
    assert response.status_code == shown
    assert why in response.text
    assert 'value="bruce"' in response.text
    assert "my password" not in response.text
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)
    assert response.get("Retry-After") == ("800" if shown == 429 else None)


@pytest.mark.parametrize("pair", [{}, {"username": "bruce"}, {"password": "x"}, {"username": "", "password": ""}])
def test_missing_field_is_an_error_without_an_api_call(visitor: Client, backend: Backend, pair: dict[str, str]) -> None:
    response = visitor.post("/login/", pair)
    assert response.status_code == 400
    assert "This field is required" in response.text
    assert backend.calls() == []


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ({"username": "x" * 51}, "User name: Use at most 50 characters. You have typed 51."),
        ({"username": "a" + "\u0301" * 5000 + "\u0323" * 5000}, "User name: Use at most 50 characters. You have typed"),
        ({"password": "x" * 129}, "Password: Use at most 128 characters. You have typed 129."),
        ({"password": "a" + "\u0301" * 5000 + "\u0323" * 5000}, "Password: Use at most 128 characters. You have typed"),
    ],
)
def test_overlong_field_is_an_error_without_an_api_call(
    visitor: Client, backend: Backend, pair: dict[str, str], why: str
) -> None:
    response = visitor.post("/login/", PAIR | pair)
    assert response.status_code == 400
    assert why in response.text
    assert backend.calls() == []


def test_longest_allowed_name_and_password_are_sent(visitor: Client, backend: Backend) -> None:
    pair = {"username": "𐌰" * 50, "password": "𐌰" * 128}
    assert visitor.post("/login/", pair).status_code == 302
    assert backend.received[0].body == pair
    assert "maxlength" not in visitor.get("/logout/").text + visitor.get("/login/").text


def test_login_page_redirects_logged_in_users(bruce: Client, backend: Backend) -> None:
    assert bruce.get("/login/")["Location"] == "/thoughts/"
    assert bruce.get("/login/?next=/search")["Location"] == "/search"


def test_second_login_replaces_the_first(bruce: Client, backend: Backend) -> None:
    other = authorization("stephen")
    backend.answer(LOGIN, 200, {"Authorized": other, "refresh": "another"})
    response = bruce.post("/login/", PAIR)
    assert response.cookies[SESSION_COOKIE].value == other
    assert response.cookies[REFRESH_COOKIE].value == "another"
    # web ends the session of the first login.
    assert backend.calls() == [LOGIN, LOGOUT]
    assert backend.received[1].body == {"refresh": "a-refresh-token"}


def test_login_succeeds_even_if_the_previous_session_cannot_be_ended(bruce: Client, backend: Backend) -> None:
    backend.answer(LOGOUT, 503)
    assert bruce.post("/login/", PAIR)["Location"] == "/thoughts/"


@pytest.mark.parametrize("path", ["/logout", "/logout/"])
def test_logout_asks_for_confirmation_and_ends_the_session(bruce: Client, backend: Backend, path: str) -> None:
    page = bruce.get(path)
    assert page.status_code == 200
    assert "Log out?" in page.text
    assert backend.calls() == []

    response = bruce.post(path)
    assert response["Location"] == "/login/"
    assert backend.calls() == [LOGOUT]
    assert backend.received[0].body == {"refresh": "a-refresh-token"}
    assert response.cookies[SESSION_COOKIE].value == response.cookies[REFRESH_COOKIE].value == ""
    assert response.cookies[SESSION_COOKIE]["max-age"] == 0
    assert "You are logged out." in bruce.get("/login/").text
    assert bruce.get("/thoughts/").status_code == 302


def test_logout_works_in_this_browser_while_users_api_is_unavailable(bruce: Client, backend: Backend) -> None:
    backend.answer(LOGOUT, 503)
    response = bruce.post("/logout/")
    assert response.cookies[SESSION_COOKIE].value == response.cookies[REFRESH_COOKIE].value == ""
    assert "logged out in this browser" in bruce.get("/login/").text


@pytest.mark.parametrize("status", [400, 401])
def test_logout_of_an_expired_session_succeeds(bruce: Client, backend: Backend, status: int) -> None:
    backend.answer(LOGOUT, status, {"message": "No.", "errors": {}})
    response = bruce.post("/logout/")
    assert response.cookies[SESSION_COOKIE].value == response.cookies[REFRESH_COOKIE].value == ""
    assert "You are logged out." in bruce.get("/login/").text


def test_second_logout_is_not_an_error(visitor: Client, backend: Backend) -> None:
    assert "You are not logged in" in visitor.get("/logout/").text
    assert visitor.post("/logout/").status_code == 302
    assert backend.calls() == []
