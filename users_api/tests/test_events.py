"""Test that users_api records each event exactly once.

The tests also check which account and which staff action each event names.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from common.registry import REGISTRY
from users_api.models import Session, User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]
Events = Callable[[], list[tuple[str, str | None]]]
USERS = "/admin/users_api/user/"
NEW_PASSWORD = "another horse battery"
ENDED = ("session.ended", None)
PASSWORD_CHANGED = ("password.changed", None)


@pytest.fixture
def superuser(admin: User) -> Client:
    """Return a browser in which the superuser is logged in."""
    browser = Client(raise_request_exception=False)
    browser.force_login(admin)
    return browser


@pytest.fixture
def recorded(bruce: User, caplog: pytest.LogCaptureFixture) -> Events:
    """Return a function that returns the events since the function's last call.

    Each event is a tuple `(name, action)`. `action` is the staff action, or None. The function ignores refused
    requests, and fails if an event is about an account other than bruce's.
    """
    caplog.set_level("INFO", logger="events")
    pk = bruce.pk  # `bruce` has no `pk` after it is deleted

    def recorded() -> list[tuple[str, str | None]]:
        events = [record.__dict__ for record in caplog.records if record.name == "events"]
        events = [event for event in events if event["event"] != "access.refused"]
        caplog.clear()
        assert {event.get("target") or event["account"] for event in events} <= {pk}
        return [(event["event"], event.get("action")) for event in events]

    return recorded


@pytest.fixture
def here(superuser: Client, bruce: User, log_in: LogIn, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Begin two sessions of bruce, and return the tokens of the second one."""
    log_in()
    tokens: dict[str, str] = log_in().json()
    caplog.clear()
    return tokens


def test_ended_sessions_are_counted_once_per_account(
    here: dict[str, str], superuser: Client, bruce: User, log_in: LogIn
) -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("security_events_total", {"event": "session.ended"}) or 0

    stephen = User.objects.create_user("stephen", PASSWORD)
    log_in("stephen")
    before = count()
    superuser.post(USERS, {"action": "end_sessions", "_selected_action": [bruce.pk, stephen.pk]})
    assert count() == before + 2
    superuser.post(USERS, {"action": "end_sessions", "_selected_action": [bruce.pk, stephen.pk]})
    assert count() == before + 2  # there were no sessions


@pytest.mark.parametrize(
    ("path", "form", "expected"),
    [
        ("", {"action": "end_sessions"}, [ENDED, ("staff.acted", "end_sessions")]),
        ("", {"action": "switch_off"}, [ENDED, ("staff.acted", "switch_off")]),
        ("", {"action": "switch_on"}, [("staff.acted", "switch_on")]),
        ("{id}/change/", {}, [ENDED, ("staff.acted", "switch_off")]),
        ("{id}/change/", {"is_active": "on", "is_staff": "on"}, [("staff.acted", "change_rights")]),
        ("{id}/change/", {"is_staff": "on"}, [ENDED, ("staff.acted", "switch_off"), ("staff.acted", "change_rights")]),
        ("{id}/change/", {"is_active": "on"}, []),
        (
            "{id}/password/",
            {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
            [ENDED, PASSWORD_CHANGED, ("staff.acted", "set_password")],
        ),
        ("{id}/password/", {"password1": NEW_PASSWORD, "password2": "x"}, []),
    ],
)
def test_admin_records_what_staff_did_and_the_ended_sessions(
    here: dict[str, str],
    superuser: Client,
    admin: User,
    bruce: User,
    recorded: Events,
    caplog: pytest.LogCaptureFixture,
    path: str,
    form: dict[str, str],
    expected: list[Any],
) -> None:
    response = superuser.post(USERS + path.format(id=bruce.pk), {"_selected_action": [bruce.pk]} | form)
    assert response.status_code in (200, 302)
    assert {record.__dict__["account"] for record in caplog.records if record.name == "events"} <= {admin.pk}
    assert recorded() == expected
    assert Session.objects.exists() == (ENDED not in expected)


def test_admin_records_that_an_account_is_switched_on(superuser: Client, bruce: User, recorded: Events) -> None:
    User.objects.filter(pk=bruce.pk).update(is_active=False)
    superuser.post(f"{USERS}{bruce.pk}/change/", {"is_active": "on"})
    assert recorded() == [("staff.acted", "switch_on")]


@pytest.mark.parametrize("way", ["form", "API"])
def test_new_account_is_recorded_with_the_staff_user(
    superuser: Client,
    admin: User,
    bearer: Callable[[User], dict[str, str]],
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    caplog.set_level("INFO", logger="events")
    if way == "form":
        superuser.post(f"{USERS}add/", {"username": "grace", "password1": PASSWORD, "password2": PASSWORD})
    else:
        superuser.post("/admin/users/", {"username": "grace", "password": PASSWORD}, headers=bearer(admin))
    [event] = [record.__dict__ for record in caplog.records if record.name == "events"]
    assert (event["event"], event["action"]) == ("staff.acted", "create_account")
    assert (event["account"], event["target"]) == (admin.pk, User.objects.get(username="grace").pk)


def test_user_ends_sessions_and_each_request_is_one_event(
    here: dict[str, str], api: Client, bruce: User, recorded: Events
) -> None:
    authorization = {"Authorization": here["Authorized"]}
    api.delete(f"/api/sessions/{bruce.sessions.earliest('pk').pk}/", headers=authorization)
    assert recorded() == [ENDED]
    api.delete("/api/sessions/", headers=authorization)
    assert recorded() == []  # only the current session exists
    for _ in range(2):
        bruce.sessions.create(ends=timezone.now() + timedelta(days=1))
    api.delete("/api/sessions/", headers=authorization)
    assert recorded() == [ENDED]
    for _ in range(2):
        api.post("/api/logout/", {"refresh": here["refresh"]})
    assert recorded() == [("logout", None)]


@pytest.mark.parametrize("way", ["API", "own form", "command", "no password"])
def test_new_password_is_recorded(
    here: dict[str, str], api: Client, bruce: User, recorded: Events, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    match way:
        case "API":
            change = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
            api.post("/api/password/", change, headers={"Authorization": here["Authorized"]})
        case "own form":
            User.objects.filter(pk=bruce.pk).update(is_staff=True)
            api.force_login(bruce)
            assert recorded() == [("login.succeeded", None)]
            form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
            api.post("/admin/password_change/", form)
        case "command":
            monkeypatch.setattr("getpass.getpass", lambda prompt="": NEW_PASSWORD)
            call_command("changepassword", "bruce")
        case "no password":
            bruce.set_unusable_password()
            bruce.save()
    assert recorded() == ([ENDED] if way == "no password" else [ENDED, PASSWORD_CHANGED])


@pytest.mark.parametrize("way", ["account", "query"])
def test_deleting_an_account_records_the_ended_sessions(
    here: dict[str, str], bruce: User, recorded: Events, way: str
) -> None:
    if way == "account":
        bruce.delete()
    else:
        User.objects.filter(username="bruce").delete()
    assert recorded() == [ENDED]
    assert not Session.objects.exists()


def test_reused_token_is_one_event(here: dict[str, str], api: Client, bruce: User, recorded: Events) -> None:
    Session.objects.update(rotation=5, issued=[[0, 5]])
    for _ in range(2):
        assert api.post("/api/token/refresh/", {"refresh": here["refresh"]}).status_code == 401
    assert recorded() == [("session.token_reused", None)]


def test_expired_sessions_are_no_event(here: dict[str, str], recorded: Events) -> None:
    Session.objects.update(ends=timezone.now())
    call_command("flush_expired")
    assert not Session.objects.exists()
    assert recorded() == []
