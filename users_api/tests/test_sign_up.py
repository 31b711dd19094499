"""Test sign-up, and that names that look like an existing name are refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from users_api import services
from users_api.models import SignUp, User, lookalike_key
from users_api.tests.conftest import PASSWORD

GRACE = {"username": "grace", "password": PASSWORD}


@pytest.fixture
def sign_up(api: Client, db: None, settings: Settings) -> Callable[..., Any]:
    """Open sign-up, and return a function that signs up."""
    settings.SIGN_UP = "open"

    def sign_up(address: str = "192.0.2.1", **body: Any) -> Any:
        return api.post("/api/users/", GRACE | body, content_type="application/json", REMOTE_ADDR=address)

    return sign_up


def test_sign_up_creates_an_account(sign_up: Callable[..., Any], log_in: Callable[..., Any]) -> None:
    response = sign_up(is_staff=True, is_superuser=True)
    assert response.status_code == 201
    assert list(response.json()) == ["id", "username", "creation"]
    grace = User.objects.get()
    assert (grace.username, grace.is_staff, grace.is_superuser, grace.is_active) == ("grace", False, False, True)
    assert not LogEntry.objects.exists()
    assert log_in("grace").status_code == 200


@pytest.mark.parametrize("path", ["/api/users", "/api/users/"])
def test_closed_sign_up_is_403(db: None, api: Client, path: str) -> None:
    for body in (GRACE, {}):
        response = api.post(path, body)
        assert response.status_code == 403
        assert "closed" in response.json()["message"]
    assert not User.objects.exists()
    assert not SignUp.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "a b"}, "username"),
        ({"username": "x" * 51}, "username"),
        ({"username": None}, "username"),
        ({"password": "short1"}, "password"),
        ({"password": "password"}, "password"),
        ({"password": "gra\x00ce123"}, "password"),
        ({"username": "BRUCE"}, "username"),
    ],
)
def test_bad_input_is_400_and_the_error_names_the_field(
    sign_up: Callable[..., Any], bruce: User, body: dict[str, Any], field: str
) -> None:
    response = sign_up(**body)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert User.objects.count() == 1


def test_attempts_per_address_are_limited(sign_up: Callable[..., Any], settings: Settings) -> None:
    settings.SIGN_UPS_PER_ADDRESS = 3
    statuses = [sign_up(username=f"grace-{number}").status_code for number in range(5)]
    assert statuses == [201, 201, 201, 429, 429]
    # Refused attempts are not counted, so they do not extend the wait.
    assert SignUp.objects.count() == 3
    assert 0 < int(sign_up()["Retry-After"]) <= 15 * 60
    assert sign_up(address="192.0.2.2").status_code == 201


@pytest.mark.parametrize(("ahead", "status"), [(timedelta(seconds=5), 429), (timedelta(days=1), 201)])
def test_attempts_whose_time_is_far_ahead_do_not_count(
    sign_up: Callable[..., Any], settings: Settings, ahead: timedelta, status: int
) -> None:
    settings.SIGN_UPS_PER_ADDRESS = 2
    for number in range(2):
        assert sign_up(username=f"name{number}").status_code == 201
    SignUp.objects.update(time=timezone.now() + ahead)
    response = sign_up()
    assert response.status_code == status
    assert status == 201 or int(response["Retry-After"]) <= 15 * 60 + 10
    services.delete_old_sign_ups(timezone.now())
    assert SignUp.objects.count() == (1 if status == 201 else 2)


def test_failed_attempts_to_sign_up_count(sign_up: Callable[..., Any], bruce: User, settings: Settings) -> None:
    # Each attempt reveals whether a name is taken.
    settings.SIGN_UPS_PER_ADDRESS = 3
    assert [sign_up(username="bruce").status_code for _ in range(4)] == [400, 400, 400, 429]


def test_ipv6_site_counts_as_one_address(sign_up: Callable[..., Any], settings: Settings) -> None:
    settings.SIGN_UPS_PER_ADDRESS = 1
    addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:1::1"]
    statuses = [sign_up(each, username=f"grace-{number}").status_code for number, each in enumerate(addresses)]
    assert statuses == [201, 429, 429, 201]


LOOKALIKES = [
    "br\u1d1cce",
    "bru\u0441e",
    "bruc\u0435",
    "\u13f4RUCE",
    "\u0392ruc\u0435",
    "\uff22ruc\u0435",
]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_lookalike_name_is_refused(
    sign_up: Callable[..., Any], bruce: User, admin: User, bearer: Callable[[User], dict[str, str]], name: str
) -> None:
    response = sign_up(username=name)
    assert response.status_code == 400, name
    assert "looks like" in response.json()["errors"]["username"][0]
    # Staff cannot create an account with this name either, whether with the API or in the admin.
    client = Client()
    response = client.post("/admin/users/", GRACE | {"username": name}, headers=bearer(admin))
    assert response.status_code == 400
    client.force_login(admin)
    form = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
    assert "looks like" in client.post("/admin/users_api/user/add/", form).text
    assert User.objects.count() == 2


def test_latin_name_is_refused_if_its_lookalike_exists(sign_up: Callable[..., Any]) -> None:
    assert sign_up(username="gr\u0430ce").status_code == 201
    assert sign_up(username="grace").status_code == 400
    assert sign_up(username="\u0261race").status_code == 400


@pytest.mark.parametrize("name", ["\u0438\u0432\u0430\u043d", "\u03c3\u03bf\u03c6\u03af\u03b1", "bj\u00f6rn", "1vy"])
def test_non_latin_name_without_a_lookalike_is_accepted(sign_up: Callable[..., Any], bruce: User, name: str) -> None:
    assert sign_up(username=name).status_code == 201


def test_database_refuses_a_lookalike(bruce: User) -> None:
    with pytest.raises(IntegrityError):
        User.objects.create(username="bruc\u0435")


def test_existing_lookalike_account_can_be_changed(bruce: User, admin: User, client: Client) -> None:
    [other] = User.objects.bulk_create([User(username="bruc\u0435", username_key="bruc\u0435")])
    assert other.lookalike_key is None
    client.force_login(admin)
    assert client.post(f"/admin/users_api/user/{other.pk}/change/", {}).status_code == 302  # without `is_active`
    other.refresh_from_db()
    assert other.is_active is False


@pytest.mark.django_db(transaction=True)
def test_migration_gives_the_key_to_only_one_of_two_lookalikes() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("users_api", "0003_sessions")])
    old = executor.loader.project_state([("users_api", "0003_sessions")]).apps.get_model("users_api", "User")
    for name in ("bruce", "bruc\u0435", "\u0438\u0432\u0430\u043d"):
        old.objects.create(username=name, username_key=name)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("users_api"))
    keys = dict(User.objects.values_list("username", "lookalike_key"))
    assert keys == {
        "bruce": "bruce",
        "bruc\u0435": None,
        "\u0438\u0432\u0430\u043d": lookalike_key("\u0438\u0432\u0430\u043d"),
    }
