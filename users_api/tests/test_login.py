"""Test logins: issued tokens, refused logins, password hashing, and input errors."""

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.utils import timezone

from users_api.hashers import Argon2idPasswordHasher
from users_api.keys import jwks
from users_api.models import Session, User
from users_api.tests.conftest import PASSWORD

LogIn = Callable[..., Any]


def assert_refused(response: Any) -> None:
    assert response.status_code == 401, response.content
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json() == {"message": "The user name or the password is wrong."}


def test_correct_login_returns_both_tokens(bruce: User, log_in: LogIn) -> None:
    response = log_in()
    assert response.status_code == 200
    assert sorted(response.json()) == ["Authorized", "refresh"]
    assert response.json()["Authorized"].startswith("Bearer ")
    assert len(response.json()["refresh"]) >= 43


def test_access_token_identifies_the_user_for_15_minutes(bruce: User, log_in: LogIn) -> None:
    token = log_in().json()["Authorized"].removeprefix("Bearer ")
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "RS256", "typ": "at+jwt", "kid": header["kid"]}

    # The published key verifies it.
    key = jwt.PyJWKSet.from_dict(jwks())[header["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"])
    assert sorted(claims) == ["exp", "iat", "is_staff", "iss", "jti", "token_type", "user_id", "username"]
    assert (claims["username"], claims["user_id"], claims["is_staff"]) == ("bruce", bruce.pk, False)
    assert claims["iss"] == "users-api"
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert abs(claims["iat"] - time.time()) < 5


def test_two_logins_return_different_tokens(bruce: User, log_in: LogIn) -> None:
    first, second = log_in().json(), log_in().json()
    assert first["Authorized"] != second["Authorized"]
    assert first["refresh"] != second["refresh"]


def test_staff_token_has_is_staff_true(admin: User, log_in: LogIn) -> None:
    token = log_in("admin").json()["Authorized"].removeprefix("Bearer ")
    assert jwt.decode(token, options={"verify_signature": False})["is_staff"] is True


def test_superuser_who_is_not_staff_gets_is_staff_false(bruce: User, log_in: LogIn) -> None:
    User.objects.update(is_superuser=True)
    token = log_in().json()["Authorized"].removeprefix("Bearer ")
    assert jwt.decode(token, options={"verify_signature": False})["is_staff"] is False


@pytest.mark.parametrize("path", ["/api/login", "/api/login/"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", MULTIPART_CONTENT])
def test_each_supported_content_type_is_accepted_with_and_without_the_trailing_slash(
    api: Client, bruce: User, path: str, kind: str
) -> None:
    body = {"username": "bruce", "password": PASSWORD}
    data: Any = body if kind != "application/x-www-form-urlencoded" else f"username=bruce&password={PASSWORD}"
    response = api.post(path, data, content_type=kind)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"


def test_wrong_password_and_unknown_name_get_the_same_response(bruce: User, log_in: LogIn) -> None:
    responses = [log_in(password="wrong"), log_in("unknown"), log_in("unknown", "wrong")]
    for response in responses:
        assert_refused(response)
        del response.headers["X-Request-ID"]
    assert len({(response.content, str(response.headers)) for response in responses}) == 1


def test_each_refused_login_hashes_one_password(
    bruce: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch, argon2id: None
) -> None:
    # The response time must not reveal whether a name exists.
    User.objects.create_user("off", PASSWORD, is_active=False)
    User.objects.create_user("without", None)
    hashed = []
    for name in ("encode", "verify"):
        original = getattr(Argon2idPasswordHasher, name)

        def counted(self: Any, *args: Any, original: Any = original) -> Any:
            hashed.append(original.__name__)
            return original(self, *args)

        monkeypatch.setattr(Argon2idPasswordHasher, name, counted)

    for username, password in (
        ("bruce", "wrong"),
        ("unknown", "wrong"),
        ("unknown", PASSWORD),
        ("off", PASSWORD),
        ("off", "wrong"),
        ("without", "wrong"),
        ("x" * 51, PASSWORD),
        ("bruce", "x" * 129),
        ("x" * 51, "x" * 129),
    ):
        hashed.clear()
        assert_refused(log_in(username, password))
        assert len(hashed) == 1, username

    # A password that is not in NFC form is checked both in NFC form and as typed. So each login computes two hashes.
    for username in ("bruce", "unknown", "off", "without", "x" * 51):
        hashed.clear()
        assert_refused(log_in(username, "e\u0301" * 10))
        assert len(hashed) == 2, username


def test_process_hashes_one_password_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    running, maximum = set(), 0

    def hashing(self: object, password: str, other: str) -> bool:
        nonlocal maximum
        running.add(password)
        maximum = max(maximum, len(running))
        time.sleep(0.01)
        running.remove(password)
        return True

    monkeypatch.setattr(Argon2PasswordHasher, "encode", hashing)
    monkeypatch.setattr(Argon2PasswordHasher, "verify", hashing)
    hasher = Argon2idPasswordHasher()
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(hasher.verify if number % 2 else hasher.encode, str(number), "") for number in range(8)]
        assert all(each.result() for each in done)
    assert maximum == 1


def test_switched_off_account_cannot_log_in(bruce: User, log_in: LogIn) -> None:
    User.objects.update(is_active=False)
    assert_refused(log_in())
    User.objects.update(is_active=True)
    assert log_in().status_code == 200


def test_account_without_a_password_cannot_log_in(db: None, log_in: LogIn) -> None:
    User.objects.create_user("bruce", None)
    for password in ("!", " ", "None"):
        assert_refused(log_in(password=password))


@pytest.mark.parametrize("username", ["Bruce", "BRUCE", "bruce ", " bruce", "brucе"])  # the last e is Cyrillic
def test_name_must_match_including_letter_case_and_spaces(bruce: User, log_in: LogIn, username: str) -> None:
    assert_refused(log_in(username))


@pytest.mark.parametrize("password", [PASSWORD.upper(), f"{PASSWORD} ", f" {PASSWORD}", PASSWORD[:-1]])
def test_whole_password_must_match(bruce: User, log_in: LogIn, password: str) -> None:
    assert_refused(log_in(password=password))


def test_user_with_a_non_ascii_name_and_password_can_log_in(db: None, log_in: LogIn) -> None:
    User.objects.create_user("Ärger", " pässwörd 😀 ")
    assert log_in("Ärger", " pässwörd 😀 ").status_code == 200
    # These are the same letters in another Unicode form.
    assert log_in("A\u0308rger", " pässwörd 😀 ").status_code == 200


def test_login_sets_last_login(bruce: User, log_in: LogIn) -> None:
    assert_refused(log_in(password="wrong"))
    bruce.refresh_from_db()
    assert bruce.last_login is None

    before = timezone.now()
    log_in()
    bruce.refresh_from_db()
    assert bruce.last_login
    assert before <= bruce.last_login <= timezone.now()


def test_no_token_is_stored(bruce: User, log_in: LogIn) -> None:
    refresh = log_in().json()["refresh"]
    session = Session.objects.get()
    assert session.user == bruce
    stored = json.dumps(vars(session), default=str)
    assert not [part for part in refresh.split(".") if part in stored]
    assert timezone.now() < session.ends <= session.began + timedelta(days=14, seconds=5)


def test_login_deletes_expired_sessions(bruce: User, log_in: LogIn) -> None:
    other = User.objects.create(username="stephen")
    now = timezone.now()
    for user in (bruce, other):
        user.sessions.create(ends=now)
        user.sessions.create(ends=now + timedelta(days=1), used=now - timedelta(days=3))
    log_in()
    assert Session.objects.get().user == bruce


def test_invalid_token_in_the_header_does_not_prevent_a_login(bruce: User, log_in: LogIn) -> None:
    assert log_in(Authorization="Bearer rubbish").status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["password", "username"]),
        ({"username": "bruce"}, ["password"]),
        ({"password": PASSWORD}, ["username"]),
        ({"username": "", "password": ""}, ["password", "username"]),
        ({"username": None, "password": None}, ["password", "username"]),
        ({"username": 1, "password": 2.5}, ["password", "username"]),
        ({"username": True, "password": False}, ["password", "username"]),
        ({"username": ["bruce"], "password": {"a": 1}}, ["password", "username"]),
        ({"username": "bru\x00ce", "password": "a\x00"}, ["password", "username"]),
        ({"username": "\ud800", "password": "\udfff"}, ["password", "username"]),
        ([], ["non_field_errors"]),
        ([{"username": "bruce", "password": PASSWORD}], ["non_field_errors"]),
        ("bruce", ["non_field_errors"]),
        (None, ["non_field_errors"]),
    ],
)
def test_bad_input_is_400_and_the_errors_name_the_fields(db: None, api: Client, body: Any, fields: list[str]) -> None:
    response = api.generic("POST", "/api/login/", json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert sorted(response.json()["errors"]) == fields


@pytest.mark.parametrize("length", [51, 1_000, 10_000])
def test_name_or_password_that_is_too_long_is_refused_like_a_wrong_one(bruce: User, log_in: LogIn, length: int) -> None:
    assert_refused(log_in("b" * length))
    assert_refused(log_in(password="b" * length))


def test_no_password_token_or_hash_is_logged(
    bruce: User, log_in: LogIn, api: Client, caplog: pytest.LogCaptureFixture, argon2id: None
) -> None:
    User.objects.update(password=make_password(PASSWORD))
    with caplog.at_level(logging.DEBUG):
        answers = log_in().json()
        log_in(password="my other password")
        api.post("/api/token/refresh/", {"refresh": answers["refresh"]})
        api.post("/api/token/refresh/", {"refresh": "a wrong refresh token"})
        api.post("/api/logout/", {"refresh": answers["refresh"]})
        api.get("/admin/users/", headers={"Authorization": answers["Authorized"]})
        api.post("/api/login/", "{broken my other password", content_type="application/json")
    logged = caplog.text + json.dumps([vars(record) for record in caplog.records], default=str)
    assert "Unauthorized" in logged
    for secret in (PASSWORD, "my other password", "a wrong refresh token", answers["refresh"], "eyJ", "argon2"):
        assert secret not in logged


def test_password_is_hashed_with_the_owasp_parameters(bruce: User, argon2id: None) -> None:
    bruce.set_password(PASSWORD)
    assert bruce.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_next_login_upgrades_the_hash_and_keeps_the_sessions(
    bruce: User, log_in: LogIn, api: Client, argon2id: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as weaker:
        weaker.setattr(Argon2idPasswordHasher, "time_cost", 1)
        bruce.set_password(PASSWORD)
        bruce.save()
    refresh = log_in().json()["refresh"]
    before = User.objects.get().password
    log_in()
    assert "t=1," in bruce.password
    assert "t=2," in before
    assert User.objects.get().password == before
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 200
