"""Test security headers, CSRF, size limits, and the responses of every path."""

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import get_resolver
from pytest_django import Settings

import web
from web.tests.conftest import (
    CREATE,
    END_ONE,
    END_OTHERS,
    LOGIN,
    LOGOUT,
    ONE,
    PASSWORD,
    REFRESH_COOKIE,
    SESSION_COOKIE,
    SIGN_UP,
    Backend,
    authorization,
    thought,
)

FORMS = [
    "/thoughts/new",
    "/thoughts/7/delete",
    "/login/",
    "/logout/",
    "/signup/",
    "/account/password",
    "/account/sessions/7/delete",
    "/account/sessions/delete",
    "/account/logout-everywhere",
]
TEMPLATES = sorted(Path(web.__path__[0], "templates").glob("*.html"))


@pytest.fixture
def strict() -> Client:
    """Return a test client in which bruce is logged in and CSRF tokens are checked."""
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.cookies[SESSION_COOKIE] = authorization()
    browser.cookies[REFRESH_COOKIE] = "a-refresh-token"
    return browser


@pytest.mark.parametrize("path", FORMS)
def test_form_of_another_site_is_refused(strict: Client, backend: Backend, settings: Settings, path: str) -> None:
    settings.SIGN_UP = "open"
    response = strict.post(path, {"text": "Typed with care", "username": "bruce", "password": "my password"})
    assert response.status_code == 403
    assert "This form has expired" in response.text
    assert "<nav" in response.text
    assert not {CREATE, LOGIN, LOGOUT, SIGN_UP, PASSWORD, END_ONE, END_OTHERS} & set(backend.calls())
    assert ("DELETE", "/api/me/thoughts/7/") not in backend.calls()
    assert not {SESSION_COOKIE, REFRESH_COOKIE} & set(response.cookies)
    if path == "/thoughts/new":
        assert "Typed with care</textarea>" in response.text
    assert "my password" not in response.text


def test_form_shown_again_can_be_sent(strict: Client, backend: Backend) -> None:
    page = strict.post("/thoughts/new", {"text": "Typed with care"}).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    response = strict.post("/thoughts/new", {"text": "Typed with care", "csrfmiddlewaretoken": token[1]})
    assert response.status_code == 302
    assert CREATE in backend.calls()


@pytest.mark.parametrize(
    "path",
    [
        "/login/",
        "/search",
        "/thoughts/",
        "/thoughts/7",
        "/@bruce",
        "/nowhere",
        "/logout/",
        "/thoughts/7/delete",
        "/account/",
        "/signup/",
    ],
)
def test_every_page_has_a_strict_policy(bruce: Client, backend: Backend, path: str) -> None:
    response = bruce.get(path)
    policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Request-ID"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_contain_nothing_that_the_security_policy_forbids(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\bstyle=|\bon\w+=|javascript:|https?://|\|safe\b|autoescape off", text)
    for form in re.findall(r"<form\b.*?</form>", text, re.DOTALL):
        assert ('method="get"' in form) != ("{% csrf_token %}" in form)


def test_pages_vary_on_cookie(bruce: Client, backend: Backend) -> None:
    for path in ("/thoughts/", "/search", "/login/"):
        assert "Cookie" in bruce.get(path)["Vary"], path


def test_hsts_is_sent_behind_tls(bruce: Client, backend: Backend, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    response = bruce.get("/search", headers={"X-Forwarded-Proto": "https"})
    assert response["Strict-Transport-Security"].startswith("max-age=31536000")


def test_unknown_host_is_refused_with_an_error_page(visitor: Client) -> None:
    response = visitor.get("/search", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "evil" not in response.text


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET, HEAD"),
        ("/thoughts/", "GET, HEAD"),
        ("/thoughts/new", "GET, HEAD, POST"),
        ("/thoughts/7", "GET, HEAD"),
        ("/thoughts/7/delete", "POST"),
        ("/@bruce", "GET, HEAD"),
        ("/search", "GET, HEAD"),
        ("/login/", "GET, HEAD, POST"),
        ("/logout/", "GET, HEAD, POST"),
        ("/signup/", "GET, HEAD, POST"),
        ("/account/", "GET, HEAD"),
        ("/account/password", "GET, HEAD, POST"),
        ("/account/sessions/7/delete", "POST"),
        ("/account/sessions/delete", "POST"),
        ("/account/logout-everywhere", "GET, HEAD, POST"),
    ],
)
def test_wrong_method_is_405_with_a_page_and_an_allow_header(
    bruce: Client, backend: Backend, path: str, methods: str
) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "ODD"} - set(methods.split(", ")):
        response = bruce.generic(method, path)
        assert response.status_code == 405, method
        assert response["Allow"] == methods
        assert "<nav" in response.text


def test_every_path_works_with_and_without_a_trailing_slash(bruce: Client, backend: Backend) -> None:
    backend.answer(("DELETE", "/api/me/thoughts/7/"), 204)
    backend.answer(ONE, 200, thought(7))
    routes = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    paths = [route.replace("<int:id>", "7").replace("<str:name>", "bruce") for route in routes]
    assert len(paths) >= 7
    for path in {f"/{path}".rstrip("/") for path in paths} - {""}:
        method = "POST" if path.endswith("delete") else "GET"
        statuses = {bruce.generic(method, each).status_code for each in (path, f"{path}/")}
        assert len(statuses) == 1, path
        assert statuses <= {200, 302}, path


@pytest.mark.parametrize("path", ["/nowhere", "/thoughts/x/delete", "/thoughts/7", "/%00", "/search/more", "/ä"])
def test_unknown_path_returns_a_404_page_with_links(visitor: Client, backend: Backend, path: str) -> None:
    response = visitor.get(path)
    assert response.status_code == 404
    assert "Not found" in response.text
    assert "<nav" in response.text


def test_very_long_id_is_404(bruce: Client, backend: Backend) -> None:
    assert bruce.post(f"/thoughts/{10**40}/delete").status_code == 404
    assert bruce.get(f"/thoughts/{10**40}").status_code == 404


@pytest.mark.parametrize("query", ["search=%00", "search=%ED%A0%80", "search=%ff", "search[]=a", "after=&before=", "%"])
def test_malformed_query_is_answered_with_a_page(visitor: Client, backend: Backend, query: str) -> None:
    assert visitor.get(f"/search?{query}").status_code == 200


@pytest.mark.parametrize("path", ["/thoughts/new", "/login/", "/search", "/nowhere"])
@pytest.mark.parametrize("size", [64 * 1024, 3_000_000])
def test_oversized_form_is_refused_with_a_page(bruce: Client, backend: Backend, path: str, size: int) -> None:
    response = bruce.post(path, {"text": "x" * size})
    assert response.status_code == 413
    assert "form is too large" in response.text
    assert "<nav" in response.text
    assert response["Content-Security-Policy"]
    assert backend.calls() == []


@pytest.mark.parametrize("body", ["text=" + "%C3%A4" * 10_000, "%" * 60_000, "a=b&" * 10_000])
def test_expensive_form_is_refused_with_a_page(bruce: Client, backend: Backend, body: str) -> None:
    response = bruce.post("/thoughts/new", body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    assert "form is too large" in response.text
    assert backend.calls() == []


def test_internal_error_page_shows_no_details(bruce: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("web.backends.thoughts._page", fault)
    response = bruce.get("/search")
    assert response.status_code == 500
    assert "Something went wrong" in response.text
    assert "<nav" in response.text
    assert "secret detail" not in response.text


def test_health_does_not_depend_on_the_apis(visitor: Client, backends_unavailable: None) -> None:
    assert visitor.get("/healthz").json()["status"] == "ok"
    assert visitor.get("/readyz").status_code == 200
    assert visitor.get("/metrics").status_code == 200
