"""Test the admin: create accounts, switch them off, set passwords, end sessions."""

import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.staticfiles import finders
from django.db import OperationalError, connection, connections
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from users_api.models import User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]
USERS = "/admin/users_api/user/"
NEW = {"username": "grace", "password1": PASSWORD, "password2": PASSWORD}


def page(user: User, name: str = "change") -> str:
    return f"{USERS}{user.pk}/{name}/"


@pytest.fixture
def superuser(admin: User) -> Client:
    """Return a browser in which the superuser has logged in with the form."""
    browser = Client(raise_request_exception=False)
    response = browser.post("/admin/login/?next=/admin/", {"username": "admin", "password": PASSWORD})
    assert response.status_code == 302
    return browser


@pytest.fixture
def staff(db: None) -> Client:
    """Return a browser in which a staff user without superuser rights is logged in."""
    browser = Client(raise_request_exception=False)
    browser.force_login(User.objects.create_user("staff", PASSWORD, is_staff=True))
    return browser


@pytest.mark.parametrize("path", ["/admin/", USERS, f"{USERS}add/"])
def test_admin_pages_have_an_icon(superuser: Client, path: str) -> None:
    # Without this link, browsers would request /favicon.ico, which does not exist.
    found = re.search(r'<link rel="icon" href="/static/([^"]+)"', superuser.get(path).text)
    assert found
    assert finders.find(found[1])


def test_admin_links_to_the_app(superuser: Client) -> None:
    assert '<a href="https://frontend.example">View site</a>' in superuser.get("/admin/").content.decode()


def test_every_admin_page_links_to_the_app_once(
    superuser: Client, bruce: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    html = {"Accept": "text/html"}
    anonymous = Client(headers=html)
    not_staff = Client(headers=html)
    not_staff.force_login(bruce)
    new = {"old_password": PASSWORD, "new_password1": "another horse battery", "new_password2": "another horse battery"}

    def pages() -> list[Any]:
        inside = ["/admin/", USERS, f"{USERS}add/", page(bruce), page(bruce, "password"), "/admin/password_change/"]
        return [
            anonymous.get("/admin/login/"),
            anonymous.post("/admin/login/", {"username": "admin", "password": ""}),
            not_staff.get("/admin/login/"),
            anonymous.get("/admin/nothing"),
            *map(superuser.get, inside),
            superuser.get("/admin/nothing", headers=html),
        ]

    last = [
        superuser.post("/admin/password_change/", new, follow=True),
        superuser.post("/admin/logout/"),
    ]
    superuser.force_login(User.objects.get(username="admin"))
    for response in pages() + last:
        address = response.request["PATH_INFO"]
        assert response["Content-Type"].startswith("text/html"), address
        assert response.text.count('<a href="https://frontend.example">View site</a>') == 1, address
    monkeypatch.setattr("django.contrib.admin.site.site_url", None)
    assert not any("View site" in response.text for response in pages())


def test_page_of_a_temporary_error_links_to_the_same_page(
    api: Client, admin: User, bruce: User, settings: Settings, tmp_path: Path
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "common.http.faults.FaultMiddleware"]
    settings.FAULTS_PATH = tmp_path / "fault"
    api.force_login(admin)

    def fail(method: str, path: str) -> str:
        headers = {"Accept": "text/html", "X-Fault": "users-api=failing"}
        response = api.generic(method, path, headers=headers)
        assert response.status_code == 500
        return response.text

    search = f"{USERS}?q=a&is_active__exact=1"
    assert f'<a href="{escape(search)}">Try again</a>' in fail("GET", search)
    for path in ("/admin/login/?next=/admin/", "/admin/", search, page(bruce), page(bruce, "password")):
        text = fail("POST", path)
        assert f'<a href="{escape(path)}">Go back to the form and try again</a>' in text
        assert ">Try again<" not in text
        assert api.get(path).status_code in (200, 302)
    assert "ry again" not in fail("POST", "/admin/logout/")  # a GET request for this path is a 405


def test_new_account_can_log_in_immediately(superuser: Client, log_in: LogIn) -> None:
    response = superuser.post(f"{USERS}add/", NEW, follow=True)
    assert response.status_code == 200
    assert "was added successfully" in response.text
    assert log_in("grace").status_code == 200


def test_new_account_never_has_rights(superuser: Client) -> None:
    superuser.post(f"{USERS}add/", NEW | {"is_staff": "on", "is_superuser": "on"})
    grace = User.objects.get(username="grace")
    assert (grace.is_active, grace.is_staff, grace.is_superuser) == (True, False, False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"username": "admin"}, "already exists. Letter case does not matter."),
        ({"username": "ADMIN"}, "already exists. Letter case does not matter."),
        ({"username": "a b"}, "Enter a valid username"),
        ({"username": "x" * 51}, "at most 50 characters"),
        ({"username": ""}, "This field is required"),
        ({"password2": "something else 123"}, "didn’t match"),
        ({"password1": "12345678", "password2": "12345678"}, "entirely numeric"),
        ({"password1": "short1", "password2": "short1"}, "at least 8 characters"),
    ],
)
def test_invalid_name_or_password_is_a_form_error_and_nothing_is_stored(
    superuser: Client, change: dict[str, str], why: str
) -> None:
    response = superuser.post(f"{USERS}add/", NEW | change)
    assert response.status_code == 200
    assert why in response.text
    assert User.objects.count() == 1


def test_name_stored_by_a_concurrent_request_is_a_form_error(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.create_user("GRACE", PASSWORD)
    validate, skipped = User.clean, iter([True])

    def clean(user: User) -> None:
        if not next(skipped, False):  # skip the first validation, as if the name were stored after it
            validate(user)

    monkeypatch.setattr(User, "clean", clean)
    monkeypatch.setattr("users_api.forms.UserCreationForm.clean_username", lambda form: form.cleaned_data["username"])
    response = superuser.post(f"{USERS}add/", NEW)
    assert response.status_code == 200
    assert "already exists. Letter case does not matter." in response.text
    assert User.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_concurrent_clicks_create_one_account_and_show_one_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = User.objects.create_superuser("admin", PASSWORD)
    store = User.save
    # On SQLite, the second transaction waits for the first one to end before it validates. So they cannot meet here.
    together = Barrier(2 if connection.vendor == "postgresql" else 1, timeout=20)
    waiting = iter([True, True])

    def save(user: User, *args: Any, **kwargs: Any) -> None:
        if user.username == "grace" and next(waiting, False):
            together.wait()
        store(user, *args, **kwargs)

    monkeypatch.setattr(User, "save", save)

    def click(_: int) -> Any:
        browser = Client(raise_request_exception=False)
        browser.force_login(admin)
        try:
            return browser.post(f"{USERS}add/", NEW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(click, range(2)), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 302]
    assert "already exists" in answers[0].text
    assert User.objects.filter(username="grace").count() == 1


def test_switched_off_account_can_neither_log_in_nor_refresh(
    superuser: Client, bruce: User, log_in: LogIn, api: Client
) -> None:
    refresh = log_in().json()["refresh"]
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 200
    assert superuser.post(page(bruce), {}).status_code == 302
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 401
    assert log_in().status_code == 401

    assert superuser.post(page(bruce), {"is_active": "on"}).status_code == 302
    assert log_in().status_code == 200


def test_action_switches_off_all_selected_accounts_except_your_own(superuser: Client, admin: User, bruce: User) -> None:
    stephen = User.objects.create_user("stephen", PASSWORD)
    selected = {"_selected_action": [admin.pk, bruce.pk, stephen.pk]}
    response = superuser.post(USERS, {"action": "switch_off", **selected}, follow=True)
    assert "Accounts switched off: 2." in response.text
    assert list(User.objects.filter(is_active=True)) == [admin]
    assert LogEntry.objects.get(object_id=bruce.pk).get_change_message() == "Switched off."

    response = superuser.post(USERS, {"action": "switch_on", **selected}, follow=True)
    assert "Accounts switched on: 2." in response.text
    assert User.objects.filter(is_active=True).count() == 3


def test_superuser_cannot_remove_their_own_rights(superuser: Client, admin: User) -> None:
    assert superuser.post(page(admin), {}).status_code == 302
    admin.refresh_from_db()
    assert (admin.is_active, admin.is_staff, admin.is_superuser) == (True, True, True)


def test_account_cannot_be_deleted(superuser: Client, bruce: User) -> None:
    assert superuser.get(page(bruce, "delete")).status_code == 403
    assert superuser.post(page(bruce, "delete"), {"post": "yes"}).status_code == 403
    superuser.post(USERS, {"action": "delete_selected", "_selected_action": [bruce.pk], "post": "yes"})
    assert User.objects.filter(pk=bruce.pk).exists()
    assert "delete" not in superuser.get(USERS).text


def test_account_cannot_be_renamed(superuser: Client, bruce: User) -> None:
    assert 'name="username"' not in superuser.get(page(bruce)).text
    superuser.post(page(bruce), {"username": "stephen", "is_active": "on"})
    assert User.objects.get(pk=bruce.pk).username == "bruce"


def test_new_password_works_and_ends_the_sessions(superuser: Client, bruce: User, log_in: LogIn, api: Client) -> None:
    refresh = log_in().json()["refresh"]
    new = {"password1": "another horse battery", "password2": "another horse battery", "usable_password": "true"}
    assert superuser.post(page(bruce, "password"), new).status_code == 302
    assert log_in().status_code == 401
    assert log_in(password="another horse battery").status_code == 200
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 401


def test_list_shows_the_last_login(superuser: Client, bruce: User, log_in: LogIn) -> None:
    stephen = User.objects.create_user("stephen", PASSWORD)
    moment = timezone.now() - timedelta(days=400)
    User.objects.filter(pk=stephen.pk).update(last_login=moment)
    log_in()
    bruce.refresh_from_db()
    assert bruce.last_login
    rows = superuser.get(USERS).text.split('<th class="field-username">')[1:]
    shown = {row.split("</a>")[0].rpartition(">")[2]: row for row in rows}
    assert str(moment.year) in shown["stephen"]
    assert f", {bruce.last_login.year}," in shown["bruce"].split("field-last_login")[1]


def test_admin_finds_users_by_part_of_their_name(superuser: Client, bruce: User) -> None:
    listed = superuser.get(USERS, {"q": "RUC"}).text
    assert ">bruce</a>" in listed
    assert ">admin</a>" not in listed


def test_no_password_or_hash_is_shown_or_logged(
    superuser: Client, bruce: User, log_in: LogIn, argon2id: None, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "another horse battery"
    User.objects.filter(pk=bruce.pk).update(password=make_password(PASSWORD))
    with caplog.at_level(logging.DEBUG):
        pages = [
            superuser.post(page(bruce, "password"), {"password1": secret, "password2": secret + "!"}),
            superuser.post(page(bruce, "password"), {"password1": secret, "password2": secret}, follow=True),
            superuser.post(f"{USERS}add/", NEW | {"username": "a b"}),
        ]
        assert log_in(password=secret).status_code == 200
        pages += [
            *map(superuser.get, ["/admin/", USERS, page(bruce), page(bruce, "password"), page(bruce, "history")]),
        ]
    bruce.refresh_from_db()
    digest = bruce.sessions.get().key.hex
    assert bruce.password.startswith("argon2$argon2id$")
    for response in pages:
        assert response.status_code == 200
        for text in ("argon2", "md5$", PASSWORD, secret, bruce.password, digest):
            assert text not in response.text, response.request["PATH_INFO"]
            assert text not in caplog.text
        # A JSON Web Token starts with two encoded JSON objects. A random CSRF token may contain "eyJ", but no dot.
        assert not re.search(r"eyJ[\w-]+\.eyJ", response.text + caplog.text), response.request["PATH_INFO"]


def test_staff_can_create_and_switch_off_accounts(staff: Client, bruce: User, log_in: LogIn) -> None:
    assert staff.post(f"{USERS}add/", NEW).status_code == 302
    assert log_in("grace").status_code == 200
    assert staff.post(page(bruce), {}).status_code == 302
    assert log_in().status_code == 401


def test_forbidden_request_gets_the_common_error_body(staff: Client, admin: User) -> None:
    for response in (staff.post(page(admin), {}), staff.get(page(admin, "delete"))):
        assert response.status_code == 403
        assert response.json() == {"message": "You do not have permission to perform this action."}


def test_staff_can_neither_grant_rights_nor_change_other_staff(staff: Client, admin: User, bruce: User) -> None:
    staff.post(page(bruce), {"is_active": "on", "is_staff": "on", "is_superuser": "on"})
    bruce.refresh_from_db()
    assert (bruce.is_staff, bruce.is_superuser) == (False, False)

    assert staff.post(page(admin), {}).status_code == 403
    new = {"password1": "another horse battery", "password2": "another horse battery"}
    assert staff.post(page(admin, "password"), new).status_code == 403
    done = staff.post(USERS, {"action": "switch_off", "_selected_action": [admin.pk]}, follow=True)
    assert 'class="warning">Accounts switched off: 0. Accounts that you may not change in this way: 1.' in done.text
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.check_password(PASSWORD)


def test_users_without_staff_rights_cannot_open_the_admin(bruce: User) -> None:
    browser = Client()
    response = browser.post("/admin/login/", {"username": "bruce", "password": PASSWORD})
    assert "for a staff account" in response.text
    browser.force_login(bruce)
    for path in ("/admin/", USERS, f"{USERS}add/", page(bruce)):
        assert browser.get(path).status_code == 302, path
    assert browser.post(f"{USERS}add/", NEW).status_code == 302
    assert User.objects.count() == 1


def test_admin_errors_are_pages_in_a_browser(admin: User, bruce: User, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False, headers=accept)
    browser.force_login(admin)

    def refuse(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    pages = [
        (400, "The request is malformed.", browser.get(f"{USERS}?username=%00")),
        (403, "This form has expired", browser.post(page(bruce), {})),
        (404, "There is nothing at this address.", browser.get("/admin/nothing")),
        (405, "Method &quot;GET&quot; not allowed.", browser.get("/admin/logout/")),
    ]
    with connection.execute_wrapper(refuse):
        pages.append((503, "The database is temporarily unavailable.", browser.get(USERS)))
    monkeypatch.setattr("users_api.admin.UserAdmin.get_queryset", None)
    pages.append((500, "Something went wrong on our side.", browser.get(USERS)))
    pages.append((403, "This form has expired", browser.post("/admin", {})))
    for status, message, response in pages:
        assert response.status_code == status
        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert response["Vary"].startswith("Accept")
        assert "Thoughts: accounts" in response.text
        assert f"<p>{message}" in response.text
        assert (f"<code>{response['X-Request-ID']}</code>" in response.text) == (status >= 500)
        assert (f'<a href="{USERS}">Try again</a>' in response.text) == (status >= 500)
    assert int(pages[4][2]["Retry-After"]) > 0


@pytest.mark.parametrize("name", ["\ufdfa", "\ufdfa" * 50, "½"])
def test_name_is_validated_in_its_stored_form(superuser: Client, name: str) -> None:
    # NFKC turns the first name into 18 characters with spaces, and the last one into text with a slash.
    response = superuser.post(f"{USERS}add/", NEW | {"username": name})
    assert response.status_code == 200
    assert User.objects.count() == 1


@pytest.mark.parametrize("query", ["username=%00", "username__exact=a%00b", "q=%00", "username=%00&username=a"])
def test_nul_character_in_the_query_is_400(superuser: Client, query: str) -> None:
    # PostgreSQL cannot store this character, so its driver would raise ValueError.
    assert superuser.get(f"{USERS}?{query}").status_code == 400


def test_form_of_another_site_is_refused(admin: User, bruce: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin)
    refused = browser.post(page(bruce), {})
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("This form has expired")
    assert browser.post(f"{USERS}add/", NEW).status_code == 403
    assert list(User.objects.filter(is_active=True)) == [admin, bruce]


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "//",
        "///",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\n/evil.example",
        "/" + "x" * 3000,
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_next_on_another_site_redirects_to_the_index(admin: User, path: str, method: str) -> None:
    browser = Client(raise_request_exception=False)
    form = {"username": "admin", "password": PASSWORD}
    if method == "GET":
        response = browser.post(f"/admin/login/?{urlencode({'next': path})}", form)
    else:
        response = browser.post("/admin/login/", form | {"next": path})
    assert (response.status_code, response["Location"]) == (302, "/admin/")

    # Logging out does not redirect to another site either.
    assert browser.post("/admin/logout/", {"next": path}).status_code == 200


def test_next_on_this_site_is_followed(admin: User) -> None:
    response = Client().post(f"/admin/login/?next={USERS}", {"username": "admin", "password": PASSWORD})
    assert response["Location"] == USERS


@pytest.mark.parametrize("path", ["/admin", "/admin/"])
def test_admin_works_with_and_without_a_slash(superuser: Client, path: str) -> None:
    response = superuser.get(path)
    assert response.status_code == 200
    assert "Thoughts: accounts" in response.text


def test_new_password_ends_admin_sessions(superuser: Client, admin: User) -> None:
    assert superuser.get(USERS).status_code == 200
    admin.set_password("another horse battery")
    admin.save()
    assert superuser.get(USERS).status_code == 302


def test_active_sessions_of_an_account_are_shown_without_their_keys(
    superuser: Client, bruce: User, log_in: LogIn
) -> None:
    log_in(**{"User-Agent": "curl/8.14"})
    bruce.sessions.create(ends=timezone.now(), device="ended-device")
    response = superuser.get(page(bruce))
    assert response.status_code == 200
    for text in ("Sessions", "curl", "192.0.2.0/24"):
        assert text in response.text
    for text in ("ended-device", str(bruce.sessions.first().key), bruce.sessions.first().key.hex):
        assert text not in response.text


def test_an_action_ends_the_sessions_of_selected_accounts(
    superuser: Client, bruce: User, api: Client, log_in: LogIn
) -> None:
    refresh = log_in().json()["refresh"]
    data = {"action": "end_sessions", "_selected_action": [bruce.pk]}
    assert "Accounts whose sessions were ended: 1." in superuser.post(USERS, data, follow=True).text
    assert re.search(r'Active sessions:</label>\s*<div class="readonly">none</div>', superuser.get(page(bruce)).text)
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 401
    assert "Ended the sessions." in superuser.get(page(bruce, "history")).text
    bruce.refresh_from_db()
    assert bruce.is_active


def test_staff_cannot_end_the_sessions_of_other_staff(staff: Client, admin: User, log_in: LogIn) -> None:
    log_in("admin")
    staff.post(USERS, {"action": "end_sessions", "_selected_action": [admin.pk]})
    assert admin.sessions.exists()


@pytest.mark.parametrize(
    ("host", "scheme", "secure"),
    [
        ("localhost:8001", "http", False),  # kubectl port-forward; Safari refuses Secure cookies there
        ("127.0.0.1", "http", False),
        ("[::1]:8001", "http", False),
        ("localhost", "https", True),
        ("users.localhost", "http", True),
    ],
)
@override_settings(SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True)
def test_cookies_are_secure_except_on_loopback_without_tls(admin: User, host: str, scheme: str, secure: bool) -> None:
    response = Client(headers={"host": host}).post(
        "/admin/login/?next=/admin/", {"username": "admin", "password": PASSWORD}, secure=scheme == "https"
    )
    assert response.status_code == 302
    assert len(response.cookies) == 2
    assert {bool(cookie["secure"]) for cookie in response.cookies.values()} == {secure}
    assert all(cookie["samesite"] == "Lax" for cookie in response.cookies.values())
