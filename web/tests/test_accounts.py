"""Test the login cookies, and the renewal of access tokens."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from pytest_django import Settings

from common.settings import ROOT
from web.tests.conftest import (
    CREATE,
    KEY,
    MINE,
    REFRESH,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    Backend,
    authorization,
    thought,
)

LogInAs = Callable[..., Client]


def test_valid_token_is_used_and_no_cookie_is_set(bruce: Client, backend: Backend) -> None:
    response = bruce.get("/thoughts/")
    assert response.status_code == 200
    assert "bruce" in response.text
    assert backend.calls() == [MINE]
    assert backend.received[0].headers["authorization"] == bruce.cookies[SESSION_COOKIE].value
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)


@pytest.mark.parametrize("expires_in", [-1, -1000, 5, 29])
def test_expired_token_is_renewed_silently(log_in_as: LogInAs, backend: Backend, expires_in: int) -> None:
    browser = log_in_as(expires_in)
    new = authorization(jti="new")
    backend.answer(REFRESH, 200, {"Authorized": new, "refresh": "the-next-refresh-token"})
    response = browser.get("/thoughts/")
    assert response.status_code == 200
    assert backend.calls() == [REFRESH, MINE]
    assert backend.received[0].body == {"refresh": "a-refresh-token"}
    assert backend.received[1].headers["authorization"] == new
    assert response.cookies[SESSION_COOKIE].value == new
    # The next page uses the renewed token.
    browser.get("/thoughts/")
    assert backend.calls()[2:] == [MINE]


def test_missing_session_cookie_is_renewed(visitor: Client, backend: Backend) -> None:
    visitor.cookies[REFRESH_COOKIE] = "a-refresh-token"
    assert visitor.get("/thoughts/").status_code == 200
    assert backend.calls() == [REFRESH, MINE]


@pytest.mark.parametrize("status", [401, 400])
def test_refused_refresh_token_logs_out(log_in_as: LogInAs, backend: Backend, status: int) -> None:
    browser = log_in_as()
    backend.answer(REFRESH, status, {"message": "The refresh token is no longer valid.", "errors": {}})
    response = browser.get("/thoughts/")
    assert response.status_code == 302
    assert response["Location"] == "/login/?next=%2Fthoughts%2F"
    assert "Your session has expired. Log in to continue." in browser.get("/login/").text
    assert response.cookies[SESSION_COOKIE].value == response.cookies[REFRESH_COOKIE].value == ""
    assert MINE not in backend.calls()


def test_valid_token_remains_usable_while_users_api_is_unavailable(log_in_as: LogInAs, backend: Backend) -> None:
    browser = log_in_as(20)
    backend.answer(REFRESH, 503)
    response = browser.get("/thoughts/")
    assert response.status_code == 200
    assert SESSION_COOKIE not in response.cookies


def test_no_user_is_logged_out_while_users_api_is_unavailable(log_in_as: LogInAs, backend: Backend) -> None:
    browser = log_in_as()
    backend.answer(REFRESH, 503)
    response = browser.get("/thoughts/")
    assert response.status_code == 503
    assert "The login service is temporarily unavailable" in response.text
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)
    # Public pages remain available.
    assert browser.get("/search").status_code == 200
    backend.answer(REFRESH, 200, {"Authorized": authorization(), "refresh": "the-next-refresh-token"})
    assert browser.get("/thoughts/").status_code == 200


def test_refusal_of_a_renewed_token_is_logged_with_the_reason(
    log_in_as: LogInAs, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    # This happens if web and users_api have different values of TOKENS_ISSUER.
    browser = log_in_as()
    issued = authorization(iss="somebody")
    backend.answer(REFRESH, 200, {"Authorized": issued, "refresh": "r"})
    assert browser.get("/thoughts/").status_code == 503
    assert "web refuses the token that users-api has just issued: The token is from another issuer." in caplog.text
    assert issued.removeprefix("Bearer ") not in caplog.text


@pytest.mark.parametrize(("path", "link"), [("/", 'href="/">Try again'), ("//", None)])
def test_retry_link_stays_on_this_site(log_in_as: LogInAs, backend: Backend, path: str, link: str | None) -> None:
    browser = log_in_as()
    backend.answer(REFRESH, 503)
    response = browser.get("/", PATH_INFO=path)
    assert response.status_code == 503
    assert (">Try again</a>" in response.text) == (link is not None)
    assert link is None or link in response.text


def test_page_is_503_without_keys_and_no_user_is_logged_out(
    bruce: Client, backend: Backend, settings: Settings
) -> None:
    def unavailable() -> object:
        raise OSError

    settings.TOKENS_JWKS = unavailable
    response = bruce.get("/thoughts/")
    assert response.status_code == 503
    assert "The login service is temporarily unavailable" in response.text
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)
    assert bruce.get("/search").status_code == 200


FORGED = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS = {"username": "bruce", "iss": "users-api", "token_type": "access", "exp": int(time.time()) + 900}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "rubbish",
        "Bearer",
        "Bearer rubbish",
        "Basic YTpi",
        "Bearer " + jwt.encode(CLAIMS, FORGED, algorithm="RS256", headers={"kid": "test"}),
        "Bearer " + jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "test"}),
        "Bearer " + jwt.encode(CLAIMS | {"iss": "somebody"}, KEY, algorithm="RS256", headers={"kid": "test"}),
        "Bearer ä",
        "Bearer " + "a" * 3000,
    ],
)
def test_forged_session_cookie_is_ignored(visitor: Client, backend: Backend, value: str) -> None:
    visitor.cookies[SESSION_COOKIE] = value
    response = visitor.get("/thoughts/")
    assert response.status_code == 302
    assert backend.calls() == []
    page = visitor.get("/search").text
    assert "Log out" not in page
    assert "bruce" not in page


PAGE = ("GET", "/thoughts/")
WRITE = ("POST", "/thoughts/new")
DELETE = ("POST", "/thoughts/7/delete")
ANSWERS = {"GET": (200, []), "POST": (201, thought()), "DELETE": (204,)}
CALLS = {PAGE: MINE, WRITE: CREATE, DELETE: ("DELETE", "/api/me/thoughts/7/")}


@pytest.mark.parametrize("page", CALLS)
def test_token_that_thoughts_api_refuses_is_renewed_and_the_call_retried(
    bruce: Client, backend: Backend, page: tuple[str, str]
) -> None:
    call, new = CALLS[page], authorization(jti="new")
    backend.answer(REFRESH, 200, {"Authorized": new, "refresh": "the-next-refresh-token"})
    answers: Any = iter([(401, {"message": "The token is signed with an unknown key."}), ANSWERS[call[0]]])
    backend.answers[call] = lambda handler: next(answers)
    response = bruce.generic(*page, "text=Tea", content_type="application/x-www-form-urlencoded")
    assert response.status_code == (200 if page == PAGE else 302)
    assert backend.calls() == [call, REFRESH, call]
    assert backend.received[2].headers["authorization"] == response.cookies[SESSION_COOKIE].value == new
    assert bruce.cookies[REFRESH_COOKIE].value == "the-next-refresh-token"


@pytest.mark.parametrize("refresh", ["", "a-refresh-token"])
def test_user_is_logged_out_if_thoughts_api_refuses_the_renewed_token_too(
    bruce: Client, backend: Backend, refresh: str
) -> None:
    bruce.cookies[REFRESH_COOKIE] = refresh
    backend.answer(MINE, 401, {"message": "The token is not valid."})
    response = bruce.get("/thoughts/")
    assert backend.calls() == ([MINE, REFRESH, MINE] if refresh else [MINE])
    assert response.status_code == 302
    assert response["Location"].startswith("/login/")
    assert response.cookies[SESSION_COOKIE].value == ""


def test_no_user_is_logged_out_if_a_refused_token_cannot_be_renewed(bruce: Client, backend: Backend) -> None:
    backend.answer(MINE, 401, {"message": "The token is not valid."})
    backend.answer(REFRESH, 503)
    response = bruce.get("/thoughts/")
    assert response.status_code == 503
    assert "The login service is temporarily unavailable" in response.text
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)


@pytest.mark.parametrize("behind_tls", [True, False])
def test_cookies_are_httponly_and_samesite(
    visitor: Client, backend: Backend, settings: Settings, behind_tls: bool
) -> None:
    settings.BEHIND_TLS = behind_tls
    response = visitor.post("/login/", {"username": "bruce", "password": "secret"})
    for name in (SESSION_COOKIE, REFRESH_COOKIE):
        cookie = response.cookies[name]
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "Lax"
        assert bool(cookie["secure"]) is behind_tls
        assert cookie["max-age"] == 14 * 24 * 3600
        assert cookie["path"] == "/"
        assert not cookie["domain"]


def test_cookies_for_a_long_non_latin_name_fit_the_browser_limit(visitor: Client, backend: Backend) -> None:
    name = "李" * 50
    backend.answer(("POST", "/api/login/"), 200, {"Authorized": authorization(name), "refresh": "r" * 43})
    response = visitor.post("/login/", {"username": name, "password": "secret"})
    # RFC 6265 section 6.1: browsers support at least 4096 bytes per cookie, including its name and attributes.
    assert all(len(cookie.OutputString()) < 4096 for cookie in response.cookies.values())
    assert name in visitor.get("/thoughts/").text


def test_pages_of_logged_in_users_are_not_cached(bruce: Client, backend: Backend) -> None:
    paths = ("/", "/thoughts/", "/search", "/logout/", "/nowhere", "/account/", "/@bruce", "/thoughts/7", "/status")
    for path in paths:
        assert bruce.get(path)["Cache-Control"] == "private, no-store", path
    for path, form in (("/thoughts/new", {"text": "Tea."}), ("/account/password", {}), ("/login/", {})):
        assert bruce.post(path, form)["Cache-Control"] == "private, no-store", path


def test_response_that_sets_the_login_cookies_is_not_cached(visitor: Client, backend: Backend) -> None:
    response = visitor.post("/login/", {"username": "bruce", "password": "secret"})
    assert {SESSION_COOKIE, REFRESH_COOKIE} <= response.cookies.keys()
    assert response["Cache-Control"] == "private, no-store"


def test_renewed_tokens_are_not_cached(log_in_as: LogInAs, backend: Backend) -> None:
    response = log_in_as().get("/search")
    assert {SESSION_COOKIE, REFRESH_COOKIE} <= response.cookies.keys()
    assert response["Cache-Control"] == "private, no-store"


def test_public_pages_are_not_stored_by_shared_caches(visitor: Client, backend: Backend) -> None:
    for path in ("/login/", "/search", "/nowhere"):
        assert visitor.get(path)["Cache-Control"] == "private, no-cache", path


def test_public_pages_delete_no_login_cookie(log_in_as: LogInAs, backend: Backend) -> None:
    browser = log_in_as()
    backend.answer(REFRESH, 401, {"message": "The refresh token is no longer valid."})
    for path in ("/search", "/login/", "/signup/", "/logout/", "/nowhere"):
        response = browser.get(path)
        assert not response.cookies.keys() - {"thoughts_csrftoken"}, path
        assert "Log in" in response.text
    # A page that requires a login deletes the cookies.
    assert browser.get("/thoughts/").cookies[REFRESH_COOKIE].value == ""


def test_cookies_of_another_installation_are_not_changed(visitor: Client, backend: Backend) -> None:
    for name in ("session", "refresh", "csrftoken", "messages", "thoughts_9002_session", "thoughts_9002_refresh"):
        visitor.cookies[name] = "theirs"
    for path in ("/search", "/login/", "/thoughts/", "/logout/"):
        for method in (visitor.get, visitor.post):
            assert {name.split("_")[0] for name in method(path).cookies} <= {"thoughts"}
    assert visitor.cookies["thoughts_9002_session"].value == "theirs"


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [
        ({}, "thoughts_"),
        ({"PORT": "8002"}, "thoughts_8002_"),
        ({"BEHIND_TLS": "true"}, "__Host-thoughts_"),
    ],
)
def test_installations_on_one_host_have_different_cookie_names(environment: dict[str, str], prefix: str) -> None:
    code = (
        "import django; django.setup(); from django.conf import settings; from web import accounts, messages; "
        "print(accounts.session_cookie(), accounts.refresh_cookie(), settings.CSRF_COOKIE_NAME, "
        "messages.PrefixedCookieStorage.cookie_name)"
    )
    inherited = {name: value for name, value in os.environ.items() if name not in ("PORT", "BEHIND_TLS")}
    environment = {**inherited, "DJANGO_SETTINGS_MODULE": "web.settings", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [f"{prefix}{name}" for name in ("session", "refresh", "csrftoken", "messages")]


def test_host_prefixed_cookie_has_the_required_attributes(
    visitor: Client, backend: Backend, settings: Settings
) -> None:
    # Browsers require Secure, Path=/ and no Domain, also in a response that deletes the cookie.
    settings.BEHIND_TLS, settings.COOKIE_PREFIX = True, "__Host-thoughts_"
    for response in (visitor.post("/login/", {"username": "bruce", "password": "secret"}), visitor.post("/logout/")):
        for name in ("__Host-thoughts_session", "__Host-thoughts_refresh"):
            cookie = response.cookies[name]
            assert (bool(cookie["secure"]), cookie["path"], cookie["domain"]) == (True, "/", "")


def test_cookie_value_has_no_space_outside_quotes(visitor: Client, backend: Backend) -> None:
    # RFC 6265 section 4.1.1 allows no spaces at all, but browsers accept them in a quoted value, as Python writes it.
    response = visitor.post("/login/", {"username": "bruce", "password": "secret"})
    for name in (SESSION_COOKIE, REFRESH_COOKIE):
        value = response.cookies[name].OutputString().partition("=")[2].partition(";")[0]
        assert re.fullmatch(r'"[^"\s]+( [^"\s]+)*"|[^"\s]+', value)


def test_renewal_sends_the_client_address_and_user_agent(log_in_as: LogInAs, backend: Backend) -> None:
    log_in_as().get("/thoughts/", REMOTE_ADDR="192.0.2.9", headers={"User-Agent": "Firefox\x7f ä 1"})
    headers = backend.received[0].headers
    assert (headers["x-forwarded-for"], headers["user-agent"]) == ("192.0.2.9", "Firefox  1")
    log_in_as().get("/thoughts/", headers={"User-Agent": " ä "})
    assert backend.received[2].headers["user-agent"] == "unknown"


def test_renewal_stores_the_next_refresh_token(log_in_as: LogInAs, backend: Backend) -> None:
    response = log_in_as().get("/search")
    assert response.cookies[REFRESH_COOKIE].value == "the-next-refresh-token"
    assert response.cookies[REFRESH_COOKIE]["max-age"] == 14 * 24 * 3600
