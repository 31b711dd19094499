"""Test the limits on failed logins per name, address, site and account."""

import ipaddress
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from users_api import login_limit
from users_api.models import KnownNetwork, LoginFailure, User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]


def fail(log_in: LogIn, times: int, *args: str, **kwargs: str) -> None:
    for _ in range(times):
        assert log_in(*args, **{"password": "wrong"} | kwargs).status_code == 401


def assert_limited(response: Any) -> None:
    assert response.status_code == 429
    assert list(response.json()) == ["message"]
    assert response.json()["message"].startswith("Too many failed logins.")
    assert 1 <= int(response["Retry-After"]) <= 15 * 60


def age(**by: float) -> None:
    """Move the times of all failures back by a duration."""
    for failure in LoginFailure.objects.all():
        failure.time -= timedelta(**by)
        failure.save()


def test_correct_password_after_ten_failures_is_429(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 10)
    assert_limited(log_in(password="wrong"))
    assert_limited(log_in())
    bruce.refresh_from_db()
    assert bruce.last_login is None


def test_unknown_name_has_the_same_limit(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 10, "unknown")
    assert_limited(log_in("unknown"))


def test_switched_off_account_has_the_same_limit(bruce: User, log_in: LogIn) -> None:
    User.objects.update(is_active=False)
    fail(log_in, 10, password=PASSWORD)
    assert_limited(log_in())


def test_login_refused_by_a_limit_hashes_no_password(
    bruce: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(log_in, 10)
    monkeypatch.setattr("django.contrib.auth.hashers.MD5PasswordHasher.encode", None)
    assert_limited(log_in())


def test_correct_password_among_concurrent_guesses_is_refused(
    bruce: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_password = User.check_password

    def check_while_others_fail(user: User, password: str) -> bool:
        for _ in range(10):
            login_limit.record("bruce", "192.0.2.1")
        return check_password(user, password)

    monkeypatch.setattr(User, "check_password", check_while_others_fail)
    assert_limited(log_in())
    bruce.refresh_from_db()
    assert bruce.last_login is None


def test_the_same_name_from_another_address_is_not_limited(bruce: User, log_in: LogIn) -> None:
    # Otherwise, an attacker at one address could lock out a user at another address.
    fail(log_in, 10)
    assert log_in(address="192.0.2.2").status_code == 200
    assert_limited(log_in())


def test_another_name_from_the_same_address_is_not_limited(bruce: User, admin: User, log_in: LogIn) -> None:
    fail(log_in, 10)
    assert log_in("admin").status_code == 200


def test_name_in_another_letter_case_is_counted_separately(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 10, "BRUCE")
    assert log_in().status_code == 200
    # But two Unicode forms of a name count as the same name.
    fail(log_in, 10, "Ärger")
    assert_limited(log_in("A\u0308rger"))


def test_address_has_a_limit_for_all_names(bruce: User, log_in: LogIn, settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ADDRESS = 25
    for number in range(25):
        fail(log_in, 1, f"name{number}")
    assert_limited(log_in("another"))
    assert_limited(log_in())
    assert log_in(address="192.0.2.2").status_code == 200


def test_address_is_limited_until_its_oldest_failure_expires(bruce: User, log_in: LogIn, settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ADDRESS = 4
    for number in range(4):
        fail(log_in, 1, f"name{number}")
        age(minutes=3)
    response = log_in()
    assert_limited(response)
    assert 2 * 60 < int(response["Retry-After"]) <= 3 * 60


def test_successful_login_selects_failures_twice_and_deletes_any_it_finds(bruce: User, log_in: LogIn) -> None:
    def about_failures() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert log_in().status_code == 200
        return [query["sql"].split()[0] for query in queries if "loginfailure" in query["sql"]]

    assert about_failures() == ["SELECT", "SELECT"]
    fail(log_in, 1)
    assert about_failures() == ["SELECT", "SELECT", "DELETE"]


def test_the_limit_per_address_is_higher_than_the_limit_per_name(settings: Settings) -> None:
    assert settings.LOGIN_FAILURES_PER_NAME == 10
    assert settings.LOGIN_FAILURES_PER_ADDRESS > settings.LOGIN_FAILURES_PER_NAME


def test_refused_logins_are_not_counted(bruce: User, log_in: LogIn) -> None:
    # Otherwise, further attempts would extend the lockout.
    fail(log_in, 10)
    for _ in range(5):
        assert_limited(log_in(password="wrong"))
    assert LoginFailure.objects.count() == 10


def test_limit_expires_after_15_minutes(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 10)
    age(minutes=14, seconds=50)
    response = log_in()
    assert_limited(response)
    assert int(response["Retry-After"]) <= 10

    age(seconds=10)
    assert log_in().status_code == 200


def test_failures_expire_one_by_one(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 5)
    age(minutes=10)
    fail(log_in, 5)
    response = log_in()
    assert_limited(response)
    # The client must wait until the first failure expires.
    assert 4 * 60 < int(response["Retry-After"]) <= 5 * 60

    age(minutes=5)
    fail(log_in, 5)
    assert_limited(log_in())


def test_successful_login_deletes_failures_with_its_name_and_address(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 9)
    fail(log_in, 9, address="192.0.2.2")
    fail(log_in, 9, "unknown")
    assert log_in().status_code == 200
    assert LoginFailure.objects.count() == 18
    fail(log_in, 10)
    assert_limited(log_in())


def test_old_failures_are_deleted(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 3)
    age(minutes=61)
    fail(log_in, 1, "unknown")
    assert LoginFailure.objects.count() == 1


def test_name_of_a_failed_login_is_not_stored(bruce: User, log_in: LogIn) -> None:
    # Users sometimes type their password into the field for the name.
    fail(log_in, 1, "my password")
    assert "my password" not in str(vars(LoginFailure.objects.get()))


def test_invalid_request_is_not_counted(db: None, api: Client) -> None:
    assert api.post("/api/login/", {"username": "bruce"}).status_code == 400
    assert not LoginFailure.objects.exists()


def test_forwarded_address_from_a_client_is_ignored(bruce: User, log_in: LogIn) -> None:
    for number in range(10):
        assert log_in(password="wrong", **{"X-Forwarded-For": f"198.51.100.{number}"}).status_code == 401
    assert_limited(log_in(**{"X-Forwarded-For": "198.51.100.77"}))
    # The forged address is not limited either.
    assert log_in(address="198.51.100.7").status_code == 200


def test_forwarded_address_from_a_trusted_proxy_is_used(bruce: User, log_in: LogIn, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("192.0.2.0/24")]
    for number in range(10):
        # The client itself sent the first address, so users_api must ignore it.
        forwarded = f"203.0.113.{number}, 198.51.100.1"
        assert log_in(password="wrong", **{"X-Forwarded-For": forwarded}).status_code == 401
    assert_limited(log_in(**{"X-Forwarded-For": "198.51.100.1"}))
    assert log_in(**{"X-Forwarded-For": "198.51.100.2"}).status_code == 200


@pytest.mark.parametrize("address", ["2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", ""])
def test_all_kinds_of_addresses_are_counted(bruce: User, log_in: LogIn, address: str) -> None:
    fail(log_in, 10, address=address)
    assert_limited(log_in(address=address))
    assert log_in(address="203.0.113.9").status_code == 200


def test_addresses_of_one_ipv6_network_count_together(bruce: User, log_in: LogIn) -> None:
    # One machine may use all addresses of its network (RFC 8981).
    for number in range(10):
        assert log_in(password="wrong", address=f"2001:db8::{number}:1").status_code == 401
    assert_limited(log_in(address="2001:db8::ffff:ffff:ffff:ffff"))
    assert log_in(address="2001:db8:0:1::1").status_code == 200


def test_networks_of_one_ipv6_site_count_together(bruce: User, log_in: LogIn, settings: Settings) -> None:
    # One site may have 65,536 networks (RFC 6177).
    settings.LOGIN_FAILURES_PER_ADDRESS = 12
    for number in range(12):
        assert log_in(f"name{number}", address=f"2001:db8:0:{number}::1").status_code == 401
    assert_limited(log_in("another", address="2001:db8:0:ffff::1"))
    assert_limited(log_in(address="2001:db8:0:ffff::1"))
    assert log_in(address="2001:db8:1::1").status_code == 200


def test_limit_per_site_does_not_apply_to_known_networks(bruce: User, log_in: LogIn, settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ADDRESS = 12
    assert log_in(address="2001:db8:0:1::1").status_code == 200
    for number in range(12):
        assert log_in(f"name{number}", address="2001:db8:0:2::1").status_code == 401
    assert log_in(address="2001:db8:0:1::2").status_code == 200
    # But the limit does apply to logins from the unknown network.
    assert_limited(log_in(address="2001:db8:0:2::2"))


def guess(log_in: LogIn, username: str, times: int) -> list[int]:
    """Send wrong passwords from different addresses, and return the statuses."""
    return [
        log_in(username, "wrong", address=f"198.51.{number // 250}.{number % 250 + 1}").status_code
        for number in range(times)
    ]


@pytest.mark.parametrize("username", ["bruce", "unknown", "x" * 60])
def test_270_guesses_from_270_addresses_are_limited_to_100(bruce: User, log_in: LogIn, username: str) -> None:
    # OWASP ASVS 4.0.3 section 2.2.1 allows 100 failures per account per hour.
    began = timezone.now()
    assert guess(log_in, username, 270) == [401] * 100 + [429] * 170
    response = log_in(username)
    assert response.status_code == 429
    taken = (timezone.now() - began).total_seconds()
    assert 60 * 60 - taken <= int(response["Retry-After"]) <= 60 * 60
    assert LoginFailure.objects.count() == 100


def test_limit_per_account_does_not_apply_to_known_networks(
    bruce: User, admin: User, log_in: LogIn, settings: Settings
) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 20
    assert log_in(address="192.0.2.1").status_code == 200
    assert log_in(address="2001:db8::1").status_code == 200
    assert log_in("admin", address="192.0.2.3").status_code == 200
    guess(log_in, "bruce", 20)
    assert log_in(address="192.0.2.1").status_code == 200
    assert log_in(address="2001:db8::2").status_code == 200
    for unknown in ("192.0.2.2", "2001:db8:0:1::1", "192.0.2.3"):
        assert log_in(address=unknown).status_code == 429
    # The limit per name and network also applies to known networks.
    fail(log_in, 10, address="192.0.2.1")
    assert_limited(log_in(address="192.0.2.1"))


def test_network_of_an_admin_login_becomes_known(admin: User, api: Client, log_in: LogIn, settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 20
    form = {"username": "admin", "password": PASSWORD}
    assert api.post("/admin/login/", form, REMOTE_ADDR="192.0.2.1").status_code == 302
    guess(log_in, "admin", 20)
    response = api.post("/admin/login/", form, REMOTE_ADDR="192.0.2.2")
    assert response.status_code == 429
    assert 59 * 60 < int(response["Retry-After"]) <= 60 * 60
    assert "Try again in 60 minutes" in response.text
    assert api.post("/admin/login/", form, REMOTE_ADDR="192.0.2.1").status_code == 302
    assert log_in("admin", address="192.0.2.1").status_code == 200


def test_limit_per_account_expires_after_an_hour(bruce: User, log_in: LogIn, settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 20
    guess(log_in, "bruce", 20)
    age(minutes=59)
    assert log_in().status_code == 429
    age(minutes=1)
    assert log_in().status_code == 200


def test_network_is_known_for_30_days(bruce: User, log_in: LogIn, settings: Settings) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 20
    assert log_in().status_code == 200
    for days, status in ((29, 200), (30, 429)):
        KnownNetwork.objects.update(time=timezone.now() - timedelta(days=days))
        LoginFailure.objects.all().delete()
        guess(log_in, "bruce", 20)
        assert log_in().status_code == status
    # A failed login deletes networks that are no longer known.
    assert not KnownNetwork.objects.exists()


def test_known_network_is_updated_once_a_day(bruce: User, log_in: LogIn) -> None:
    def writes() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert log_in().status_code == 200
        return [query["sql"].split()[0] for query in queries if "knownnetwork" in query["sql"]]

    assert writes() == ["SELECT", "INSERT"]
    assert writes() == ["SELECT"]
    KnownNetwork.objects.update(time=timezone.now() - timedelta(days=1))
    assert writes() == ["SELECT", "INSERT"]
    known = KnownNetwork.objects.get()
    assert (known.user, known.network) == (bruce, "192.0.2.1")
    assert timezone.now() - known.time < timedelta(minutes=1)


def test_network_of_a_failed_login_does_not_become_known(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 3)
    User.objects.update(is_active=False)
    fail(log_in, 1, password=PASSWORD)
    assert not KnownNetwork.objects.exists()


def test_login_without_an_address_stores_no_known_network(bruce: User, log_in: LogIn) -> None:
    assert log_in(address="").status_code == 200
    assert not KnownNetwork.objects.exists()


def test_failures_whose_time_is_a_day_ahead_do_not_count(bruce: User, log_in: LogIn) -> None:
    fail(log_in, 10)
    age(days=-1)
    assert log_in().status_code == 200
    # The next failure deletes the failures whose time is a day ahead.
    fail(log_in, 1)
    assert LoginFailure.objects.count() == 1


@pytest.mark.parametrize(("seconds", "limited"), [(5, True), (60, False)])
def test_failures_whose_time_is_a_few_seconds_ahead_count(
    bruce: User, log_in: LogIn, seconds: int, limited: bool
) -> None:
    fail(log_in, 10)
    age(seconds=-seconds)
    response = log_in()
    if limited:
        assert_limited(response)
    else:
        assert response.status_code == 200


def test_failures_stored_by_the_previous_release_count_for_their_address(
    bruce: User, log_in: LogIn, settings: Settings
) -> None:
    # During a rollout, pods of the previous release store failures without `site`.
    settings.LOGIN_FAILURES_PER_ADDRESS = 12
    fail(log_in, 10)
    for number in range(2):
        fail(log_in, 1, f"name{number}")
    LoginFailure.objects.update(site=None)
    assert_limited(log_in("another"))
    assert log_in(address="192.0.2.2").status_code == 200


def test_admin_and_api_logins_share_the_limit(admin: User, api: Client, log_in: LogIn) -> None:
    form = {"username": "admin", "password": "wrong"}
    for _ in range(5):
        assert api.post("/admin/login/", form, REMOTE_ADDR="192.0.2.1").status_code == 200
    # Failures in the admin and in the API count together.
    fail(log_in, 5, "admin")

    path = "/admin/login/?next=/admin/users_api/user/"
    response = api.post(path, form | {"password": PASSWORD}, REMOTE_ADDR="192.0.2.1")
    assert response.status_code == 429
    assert f'<a href="{path}">login page</a>' in response.text
    assert 1 <= int(response["Retry-After"]) <= 15 * 60
    assert "Too many failed logins" in response.text
    assert "Try again in 15 minutes" in response.text
    assert "have permission" not in response.text
    assert "_auth_user_id" not in api.session
    assert_limited(log_in("admin"))

    response = api.post("/admin/login/", form | {"password": PASSWORD}, REMOTE_ADDR="192.0.2.2")
    assert response.status_code == 302


def test_wrong_old_passwords_in_the_admin_count_as_failed_logins(admin: User, api: Client, log_in: LogIn) -> None:
    api.force_login(admin)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}

    def change(old: str) -> Any:
        return api.post("/admin/password_change/", new | {"old_password": old}, REMOTE_ADDR="192.0.2.1")

    for _ in range(10):
        assert "Your old password was entered incorrectly" in change("wrong").text
    response = change(PASSWORD)
    assert response.status_code == 200
    assert "Too many failed logins. Try again in" in response.text
    assert_limited(log_in("admin"))
    age(minutes=15)
    assert change(PASSWORD).status_code == 302


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("username", ["bruce", "unknown"])
def test_at_most_ten_of_30_concurrent_wrong_passwords_are_checked(username: str) -> None:
    User.objects.create_user("bruce", PASSWORD)
    # Send six requests at a time.
    together = Barrier(6)
    connections.close_all()

    def attempt(_: int) -> int:
        together.wait()
        try:
            body = {"username": username, "password": "wrong"}
            return Client(raise_request_exception=False).post("/api/login/", body).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(attempt, range(30)))
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 10
    assert LoginFailure.objects.count() >= 10
    assert Client().post("/api/login/", {"username": username, "password": "wrong"}).status_code == 429


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("username", ["bruce", "unknown"])
def test_at_most_ten_of_30_concurrent_guesses_from_30_addresses_are_checked(settings: Settings, username: str) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 10
    User.objects.create_user("bruce", PASSWORD)
    together = Barrier(6)
    connections.close_all()

    def attempt(number: int) -> int:
        together.wait()
        try:
            body = {"username": username, "password": "wrong"}
            client = Client(raise_request_exception=False)
            return client.post("/api/login/", body, REMOTE_ADDR=f"198.51.100.{number}").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(attempt, range(30)))
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 10
    assert LoginFailure.objects.count() >= 10


@pytest.mark.django_db(transaction=True)
def test_concurrent_correct_logins_all_succeed() -> None:
    User.objects.create_user("bruce", PASSWORD)
    connections.close_all()

    def attempt(_: int) -> int:
        try:
            body = {"username": "bruce", "password": PASSWORD}
            return Client(raise_request_exception=False).post("/api/login/", body).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(attempt, range(48))) == [200] * 48
