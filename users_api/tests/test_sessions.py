"""Test how refresh tokens rotate, how reuse is detected, and how sessions end."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import jwt
import pytest
from django.contrib.sessions.models import Session as AdminSession
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from users_api import sessions
from users_api.models import LoginFailure, Session, SignUp, User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class Clock:
    """Replacement for `django.utils.timezone.now` that tests can move forward."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(tz=timezone.get_default_timezone()) + self.moved

    def move(self, **duration: float) -> None:
        self.moved += timedelta(**duration)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock)
    return clock


@pytest.fixture
def refresh(api: Client) -> Callable[..., Any]:
    """Return a function that sends a refresh token and returns the response."""

    def refresh(token: str, address: str = "192.0.2.1", agent: str = "") -> Any:
        headers = {"User-Agent": agent} if agent else None
        return api.post("/api/token/refresh/", {"refresh": token}, REMOTE_ADDR=address, headers=headers)

    return refresh


@pytest.fixture
def successor(refresh: Callable[..., Any]) -> Callable[..., str]:
    """Return a function that sends a refresh token and returns the next one."""

    def successor(token: str, **options: str) -> str:
        response = refresh(token, **options)
        assert response.status_code == 200, response.content
        following: str = response.json()["refresh"]
        return following

    return successor


@pytest.fixture
def first(bruce: User, log_in: LogIn) -> str:
    """Log in as bruce and return the refresh token."""
    token: str = log_in().json()["refresh"]
    return token


def bearer_of(response: Any) -> dict[str, str]:
    return {"Authorization": response.json()["Authorized"]}


def test_every_refresh_returns_a_new_refresh_token(first: str, successor: Callable[..., str]) -> None:
    tokens = [first]
    for _ in range(5):
        tokens.append(successor(tokens[-1]))
    assert len(set(tokens)) == 6


def test_token_yields_the_same_successor_until_the_successor_is_used(
    first: str, successor: Callable[..., str], clock: Clock
) -> None:
    second = successor(first)
    assert successor(first) == second
    # If the response was lost, the client may retry two days later.
    clock.move(days=2)
    assert successor(first) == second
    successor(second)


def test_old_token_is_valid_for_60_seconds_after_its_successor_is_used(
    first: str, successor: Callable[..., str], refresh: Callable[..., Any], clock: Clock
) -> None:
    second = successor(first)
    clock.move(minutes=15)
    third = successor(second)
    clock.move(seconds=59)
    assert successor(first) == second
    assert successor(second) == third
    clock.move(seconds=3)
    assert refresh(first).status_code == 401
    # The token may have been stolen, so the whole session ends.
    assert refresh(third).status_code == 401
    assert not Session.objects.exists()


def test_old_token_is_valid_if_its_successor_was_used_in_the_last_60_seconds(
    first: str, successor: Callable[..., str], clock: Clock
) -> None:
    tokens = [first]
    for _ in range(40):
        clock.move(seconds=1)
        tokens.append(successor(tokens[-1]))
    assert [successor(token) for token in tokens[:-1]] == tokens[1:]


def test_busy_session_stores_token_numbers_for_only_one_minute(
    first: str, successor: Callable[..., str], refresh: Callable[..., Any], clock: Clock
) -> None:
    tokens = [first]
    for _ in range(300):
        clock.move(seconds=0.5)
        tokens.append(successor(tokens[-1]))
    assert len(Session.objects.get().issued) <= 62
    assert successor(tokens[-100]) == tokens[-99]
    assert refresh(tokens[-140]).status_code == 401


def test_token_reuse_is_logged_with_account_and_network(
    bruce: User,
    log_in: LogIn,
    successor: Callable[..., str],
    refresh: Callable[..., Any],
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = log_in().json()["refresh"]
    third = successor(successor(first), address="192.0.2.7", agent=FIREFOX)
    clock.move(minutes=2)
    with caplog.at_level(logging.WARNING, "users_api.sessions"):
        refresh(first, address="203.0.113.9", agent="curl/8.14")
    [record] = [each for each in caplog.records if each.name == "users_api.sessions"]
    for part in (f"account {bruce.pk}", "203.0.113.0/24", "curl", "192.0.2.0/24", "Firefox on Linux"):
        assert part in record.getMessage()
    assert first not in record.getMessage()
    assert third not in record.getMessage()


def test_session_ends_when_the_owner_refreshes_after_a_thief(
    first: str, successor: Callable[..., str], refresh: Callable[..., Any], clock: Clock
) -> None:
    # The thief refreshes first, and again after 15 minutes. Two minutes after that, the owner refreshes.
    thief = successor(first)
    clock.move(minutes=15)
    thief = successor(thief)
    clock.move(minutes=2)
    assert refresh(first).status_code == 401
    assert refresh(thief).status_code == 401


def test_thief_who_alternates_with_the_owner_is_detected_by_the_device(
    bruce: User, log_in: LogIn, successor: Callable[..., str], refresh: Callable[..., Any], clock: Clock
) -> None:
    first = log_in(**{"User-Agent": FIREFOX}).json()["refresh"]
    stolen = successor(first, agent="python-requests/2.32")
    clock.move(minutes=7)
    assert refresh(first, agent=FIREFOX).status_code == 401
    assert refresh(stolen, agent="python-requests/2.32").status_code == 401


def test_two_tabs_may_report_different_devices(bruce: User, log_in: LogIn, successor: Callable[..., str]) -> None:
    # A mobile browser reports a different operating system in a tab that shows the desktop version of a page.
    first = log_in(**{"User-Agent": FIREFOX}).json()["refresh"]
    assert successor(first, agent=IPHONE) == successor(first, agent=FIREFOX)


def test_token_newer_than_a_restored_database_is_accepted(first: str, successor: Callable[..., str]) -> None:
    second = successor(first)
    third = successor(second)
    Session.objects.update(rotation=0, issued=[])
    assert successor(third) not in (first, second, third)


def test_token_is_refused_if_another_session_reuses_its_session_id(
    first: str, bruce: User, refresh: Callable[..., Any]
) -> None:
    lost = Session.objects.get()
    lost.delete()
    User.objects.create_user("stephen", PASSWORD).sessions.create(pk=lost.pk, ends=lost.ends)
    assert refresh(first).status_code == 401


@pytest.mark.parametrize(("duration", "status"), [({"days": 2, "hours": 23}, 200), ({"days": 3, "seconds": 1}, 401)])
def test_unused_session_expires_after_three_days(
    first: str, refresh: Callable[..., Any], clock: Clock, duration: dict[str, float], status: int
) -> None:
    clock.move(**duration)
    assert refresh(first).status_code == status


def test_used_session_expires_after_14_days(first: str, refresh: Callable[..., Any], clock: Clock) -> None:
    token = first
    for _ in range(6):
        clock.move(days=2, hours=7)
        response = refresh(token)
        assert response.status_code == 200
        token = response.json()["refresh"]
    clock.move(hours=8)
    assert refresh(token).status_code == 401


def test_session_durations_are_settings(
    bruce: User, log_in: LogIn, refresh: Callable[..., Any], clock: Clock, settings: Settings
) -> None:
    settings.SESSION_LIFETIME, settings.SESSION_IDLE = timedelta(days=2), timedelta(hours=1)
    first = log_in().json()["refresh"]
    claims = jwt.decode(first, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 2 * 24 * 3600
    clock.move(hours=2)
    assert refresh(first).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_threads_with_a_shared_cookie_jar_stay_logged_in(bruce: User, log_in: LogIn) -> None:
    jar = {"refresh": log_in().json()["refresh"]}

    def browse(seed: int) -> list[int]:
        client, statuses = Client(), [0] * seed
        for _ in range(40):
            answer = client.post("/api/token/refresh/", {"refresh": jar["refresh"]})
            statuses.append(answer.status_code)
            if len(statuses) % 20:  # every twentieth response is lost
                jar["refresh"] = answer.json()["refresh"]
        connections.close_all()
        return statuses[seed:]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for each in pool.map(browse, range(8)) for status in each]
    assert len(statuses) == 8 * 40
    assert set(statuses) == {200}
    assert Session.objects.get().rotation > 10


@pytest.mark.django_db(transaction=True)
def test_delayed_refresh_returns_the_same_successor(
    bruce: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = log_in().json()["refresh"]
    rotate = sessions._rotate
    meanwhile: list[str] = []

    def use(token: str) -> str:
        following: str = Client().post("/api/token/refresh/", {"refresh": token}).json()["refresh"]
        return following

    def use_twice() -> list[str]:
        second = use(first)
        third = use(second)
        connections.close_all()
        return [second, third]

    def delayed_rotate(request: Any, session: Session, rotation: int) -> bool:
        # Two other requests run after this request has read the session and before it updates the session.
        monkeypatch.setattr(sessions, "_rotate", rotate)
        with ThreadPoolExecutor(1) as pool:
            meanwhile.extend(pool.submit(use_twice).result())
        return rotate(request, session, rotation)

    monkeypatch.setattr(sessions, "_rotate", delayed_rotate)
    assert use(first) == meanwhile[0]
    assert Session.objects.get().rotation == 2


@pytest.mark.django_db(transaction=True)
def test_session_ended_during_a_refresh_stays_ended(
    bruce: User, log_in: LogIn, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = log_in().json()["refresh"]
    rotate = sessions._rotate

    def ended(*args: Any) -> bool:
        Session.objects.all().delete()
        return rotate(*args)

    monkeypatch.setattr(sessions, "_rotate", ended)
    assert api.post("/api/token/refresh/", {"refresh": first}).status_code == 401
    assert not Session.objects.exists()


def test_own_sessions_are_listed(bruce: User, log_in: LogIn, api: Client) -> None:
    User.objects.create_user("stephen", PASSWORD)
    log_in("stephen")
    log_in(address="2001:db8:1:2::3", **{"User-Agent": IPHONE})
    here = log_in(**{"User-Agent": FIREFOX})
    response = api.get("/api/sessions/", headers=bearer_of(here))
    assert response.status_code == 200
    listed = response.json()
    assert [sorted(each) for each in listed] == [["began", "current", "device", "ends", "id", "network", "used"]] * 2
    assert [(each["device"], each["network"], each["current"]) for each in listed] == [
        ("Firefox on Linux", "192.0.2.0/24", True),
        ("Safari on iOS", "2001:db8:1::/48", False),
    ]
    for each in listed:
        ends = datetime.fromisoformat(each["ends"]) - datetime.fromisoformat(each["used"])
        assert ends == timedelta(days=3)
    assert str(Session.objects.first().key) not in response.text


def test_session_older_than_the_password_is_not_listed(bruce: User, log_in: LogIn, api: Client) -> None:
    log_in()
    User.objects.update(password_set=timezone.now())  # an operator may do this with SQL, which does not end sessions
    here = log_in()
    assert [each["current"] for each in api.get("/api/sessions/", headers=bearer_of(here)).json()] == [True]


def test_refresh_updates_the_last_use(
    bruce: User, log_in: LogIn, api: Client, refresh: Callable[..., Any], clock: Clock
) -> None:
    first = log_in().json()["refresh"]
    clock.move(hours=1)
    response = refresh(first, address="198.51.100.20", agent=IPHONE)
    [listed] = api.get("/api/sessions", headers=bearer_of(response)).json()
    assert (listed["device"], listed["network"]) == ("Safari on iOS", "198.51.100.0/24")
    used = datetime.fromisoformat(listed["used"]) - datetime.fromisoformat(listed["began"])
    assert timedelta(minutes=59) < used < timedelta(minutes=61)


def test_one_session_is_ended(bruce: User, log_in: LogIn, api: Client, refresh: Callable[..., Any]) -> None:
    here, elsewhere = log_in(), log_in()
    ended = Session.objects.order_by("pk")[1]
    path = f"/api/sessions/{ended.pk}/"
    assert api.delete(path, headers=bearer_of(here)).status_code == 204
    assert api.delete(path, headers=bearer_of(here)).status_code == 404
    assert refresh(elsewhere.json()["refresh"]).status_code == 401
    assert refresh(here.json()["refresh"]).status_code == 200


def test_another_users_session_is_not_found(bruce: User, log_in: LogIn, api: Client) -> None:
    User.objects.create_user("stephen", PASSWORD)
    log_in("stephen")
    other = Session.objects.get()
    assert api.delete(f"/api/sessions/{other.pk}/", headers=bearer_of(log_in())).status_code == 404
    assert Session.objects.filter(pk=other.pk).exists()


@pytest.mark.parametrize("number", [0, 10**18, 10**40])
def test_unknown_id_of_any_size_is_404(bruce: User, log_in: LogIn, api: Client, number: int) -> None:
    assert api.delete(f"/api/sessions/{number}/", headers=bearer_of(log_in())).status_code == 404


@pytest.mark.parametrize("path", ["/api/sessions", "/api/sessions/"])
def test_all_other_sessions_are_ended(
    bruce: User, log_in: LogIn, api: Client, refresh: Callable[..., Any], path: str
) -> None:
    others, here = [log_in(), log_in()], log_in()
    assert api.delete(path, headers=bearer_of(here)).status_code == 204
    assert [refresh(each.json()["refresh"]).status_code for each in others] == [401, 401]
    assert refresh(here.json()["refresh"]).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions/"),
        ("DELETE", "/api/sessions/"),
        ("DELETE", "/api/sessions/1/"),
        ("POST", "/api/password/"),
    ],
)
def test_missing_token_is_401(db: None, api: Client, method: str, path: str) -> None:
    response = api.generic(method, path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


def test_access_token_of_an_ended_session_is_refused_immediately(bruce: User, log_in: LogIn, api: Client) -> None:
    here = log_in()
    api.post("/api/logout/", {"refresh": here.json()["refresh"]})
    assert api.get("/api/sessions/", headers=bearer_of(here)).status_code == 401


def test_access_token_of_a_switched_off_account_is_refused_immediately(
    bruce: User, log_in: LogIn, api: Client, bearer: Callable[[User], dict[str, str]]
) -> None:
    here = log_in()
    User.objects.update(is_active=False)
    for headers in (bearer_of(here), bearer(bruce)):
        assert api.get("/api/sessions/", headers=headers).status_code == 401


NEW_PASSWORD = "another horse battery"


def change(api: Client, response: Any, **body: Any) -> Any:
    data = {"old_password": PASSWORD, "new_password": NEW_PASSWORD} | body
    return api.post("/api/password/", data, content_type="application/json", headers=bearer_of(response))


def test_new_password_ends_the_other_sessions(
    bruce: User, log_in: LogIn, api: Client, refresh: Callable[..., Any]
) -> None:
    other, here = log_in(), log_in()
    response = change(api, here)
    assert (response.status_code, response.content) == (204, b"")
    assert refresh(other.json()["refresh"]).status_code == 401
    assert refresh(here.json()["refresh"]).status_code == 200
    assert log_in().status_code == 401
    assert log_in(password=NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"old_password": "wrong"}, "old_password"),
        ({"old_password": ""}, "old_password"),
        ({"old_password": None}, "old_password"),
        ({"old_password": 5}, "old_password"),
        ({"old_password": "a\x00"}, "old_password"),
        ({"new_password": "short1"}, "new_password"),
        ({"new_password": "bruce-12"}, "new_password"),
        ({"new_password": "password"}, "new_password"),
        ({"new_password": "8164092573"}, "new_password"),
        ({"new_password": "x" * 129}, "new_password"),
        ({"new_password": "\ud800" * 9}, "new_password"),
    ],
)
def test_invalid_password_change_is_refused(
    bruce: User, log_in: LogIn, api: Client, body: dict[str, Any], field: str
) -> None:
    log_in()
    response = change(api, log_in(), **body)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert Session.objects.count() == 2
    assert log_in().status_code == 200


def test_guesses_of_the_old_password_count_as_failed_logins(bruce: User, log_in: LogIn, api: Client) -> None:
    here = log_in()
    statuses = [change(api, here, old_password="wrong").status_code for _ in range(11)]
    assert statuses == [400] * 10 + [429]


def test_flush_expired_deletes_only_expired_rows(bruce: User, log_in: LogIn, admin: User) -> None:
    now = timezone.now()
    log_in()
    log_in(password="wrong")
    SignUp.objects.create(address="192.0.2.1")
    bruce.sessions.create(ends=now)
    bruce.sessions.create(ends=now + timedelta(days=9), used=now - timedelta(days=3))
    LoginFailure.objects.create(name_digest="0", time=now - timedelta(minutes=61))
    SignUp.objects.create(address="192.0.2.1", time=now - timedelta(minutes=16))
    for key, expires in (("old", now - timedelta(days=1)), ("new", now + timedelta(days=1))):
        AdminSession.objects.create(session_key=key, session_data="", expire_date=expires)
    output = StringIO()
    call_command("flush_expired", stdout=output)
    assert output.getvalue() == "2 sessions, 1 login failures, 1 sign-ups deleted\n"
    assert [each.objects.count() for each in (Session, LoginFailure, SignUp, AdminSession)] == [1, 1, 1, 1]
    assert AdminSession.objects.get().session_key == "new"


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iOS"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 "
         "Safari/537.36 Edg/137.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile "
         "Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
         "Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0", "Browser"),
        ("curl/8.14.1", "curl"),
        ("x" * 1000, "x" * 50),
        ("<b>\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_device_is_read_from_the_user_agent(rf: Any, agent: str, kind: str) -> None:
    assert sessions.device(rf.get("/", headers={"User-Agent": agent})) == kind
