"""Test the token classes.

Each test `test_no_fault_…` shows that a fault in djangorestframework-simplejwt 5.5.1 does not affect users_api.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import AccessToken as SimpleAccessToken
from rest_framework_simplejwt.tokens import RefreshToken as SimpleRefreshToken

from common.tokens import verification as tokens
from common.tokens.keys import key_set
from users_api.keys import key_ring
from users_api.models import Session, User
from users_api.tests.conftest import PASSWORD, write_key
from users_api.tokens import AccessToken, RefreshToken, session_key

LogIn = Callable[..., Any]


@pytest.fixture
def session(bruce: User) -> Session:
    return bruce.sessions.create(ends=timezone.now() + timedelta(days=14))


def unverified(token: Any) -> dict[str, Any]:
    return jwt.decode(str(token), options={"verify_signature": False})


def test_access_token_is_verified_by_common(bruce: User, session: Session) -> None:
    token = AccessToken.for_session(session)
    assert AccessToken(str(token)).payload == unverified(token)
    user = tokens.verify(str(token), key_set())
    assert (user.username, user.user_id, user.is_staff) == ("bruce", bruce.pk, False)
    assert session_key(user.jti) == session.key


def test_refresh_token_depends_only_on_its_session_and_number(session: Session) -> None:
    token = str(RefreshToken.for_session(session, 7))
    session.refresh_from_db()
    assert str(RefreshToken.for_session(session, 7)) == token
    assert str(RefreshToken.for_session(session, 8)) != token
    read = RefreshToken(token)
    assert (read.key, read.rotation) == (session.key, 7)
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_refresh_token_is_not_accepted_as_an_access_token(session: Session) -> None:
    refresh = str(RefreshToken.for_session(session, 0))
    with pytest.raises(TokenError):
        AccessToken(refresh)
    with pytest.raises(tokens.InvalidToken):
        tokens.verify(refresh, key_set())


def test_access_token_is_not_accepted_as_a_refresh_token(bruce: User, session: Session) -> None:
    with pytest.raises(TokenError):
        RefreshToken(str(AccessToken.for_session(session)))


def test_refresh_token_signed_with_the_private_key_is_refused(session: Session) -> None:
    claims = RefreshToken.for_session(session, 0).payload
    forged = jwt.encode(claims, key_ring().signing, algorithm="RS256", headers={"kid": key_ring().kid})
    with pytest.raises(TokenError):
        RefreshToken(forged)


def test_refresh_token_signed_with_the_secret_key_itself_is_refused(session: Session, settings: Settings) -> None:
    settings.SECRET_KEY = "s" * 32
    claims = RefreshToken.for_session(session, 0).payload
    with pytest.raises(TokenError):
        RefreshToken(jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256"))


@pytest.mark.parametrize("fallbacks", [["only for tests"], ["another", "only for tests"]])
def test_a_refresh_token_survives_a_new_secret_key(session: Session, settings: Settings, fallbacks: list[str]) -> None:
    token = str(RefreshToken.for_session(session, 0))
    settings.SECRET_KEY = "a new one"
    with pytest.raises(TokenError):
        RefreshToken(token)
    settings.SECRET_KEY_FALLBACKS = fallbacks
    assert RefreshToken(token).key == session.key


@pytest.mark.parametrize(
    "changes",
    [{"sid": None}, {"sid": "x"}, {"sid": 5}, {"rotation": None}, {"rotation": "x"}, {"token_type": "access"},
     {"token_type": None}, {"exp": None}, {"jti": None}],
)  # fmt: skip
def test_refresh_token_without_a_required_claim_is_refused(session: Session, changes: dict[str, Any]) -> None:
    token = RefreshToken.for_session(session, 0)
    token.payload = {name: value for name, value in (token.payload | changes).items() if value is not None}
    with pytest.raises(TokenError):
        RefreshToken(str(token))


def test_an_expired_refresh_token_is_refused(session: Session) -> None:
    session.ends = timezone.now() - timedelta(seconds=tokens.CLOCK_SKEW + 1)
    with pytest.raises((ExpiredTokenError, TokenError)):
        RefreshToken(str(RefreshToken.for_session(session, 0)))


def test_pod_with_a_slow_clock_accepts_a_new_token(session: Session) -> None:
    session.began = timezone.now() + timedelta(seconds=5)
    assert RefreshToken(str(RefreshToken.for_session(session, 0))).key == session.key


def test_token_classes_extend_simplejwt_classes() -> None:
    assert issubclass(AccessToken, SimpleAccessToken)
    assert issubclass(RefreshToken, SimpleRefreshToken)


def test_no_fault_password_change_ends_the_session(bruce: User, log_in: LogIn, api: Client) -> None:
    refresh = log_in().json()["refresh"]
    bruce.set_password("another horse battery")
    bruce.save()
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 401


def test_no_fault_tokens_do_not_contain_the_password(bruce: User, log_in: LogIn) -> None:
    answer = log_in().json()
    for token in (answer["Authorized"].removeprefix("Bearer "), answer["refresh"]):
        assert not {"hash_password", "password"} & unverified(token).keys()


def test_no_fault_no_token_is_stored_or_blacklisted(bruce: User, log_in: LogIn) -> None:
    answer = log_in().json()
    assert not apps.is_installed("rest_framework_simplejwt.token_blacklist")
    assert not [
        table for table in connection.introspection.table_names() if "blacklist" in table or "outstand" in table
    ]
    stored = json.dumps(list(Session.objects.values()), default=str)
    for token in (answer["Authorized"].removeprefix("Bearer "), answer["refresh"]):
        assert token.rpartition(".")[2] not in stored


def test_no_fault_each_refresh_reads_the_claims_from_the_account(admin: User, log_in: LogIn, api: Client) -> None:
    answer = log_in("admin").json()
    User.objects.update(is_staff=False)
    renewed = api.post("/api/token/refresh/", {"refresh": answer["refresh"]}).json()
    assert unverified(answer["Authorized"].removeprefix("Bearer "))["is_staff"] is True
    assert unverified(renewed["Authorized"].removeprefix("Bearer "))["is_staff"] is False


def test_no_fault_access_token_property_has_current_claims(session: Session) -> None:
    refresh = RefreshToken.for_session(session, 0)
    User.objects.update(is_staff=True)
    claims = unverified(refresh.access_token)
    assert (claims["username"], claims["is_staff"], claims["user_id"]) == ("bruce", True, session.user_id)
    assert not {"sid", "rotation"} & claims.keys()
    session.delete()
    with pytest.raises(TokenError):
        _ = refresh.access_token


def test_no_fault_deleted_account_is_401(bruce: User, log_in: LogIn, api: Client) -> None:
    refresh = log_in().json()["refresh"]
    bruce.delete()
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 401


def test_a_refresh_token_survives_a_new_signing_key(
    bruce: User, log_in: LogIn, api: Client, settings: Settings, tmp_path: Any
) -> None:
    refresh = log_in(password=PASSWORD).json()["refresh"]
    write_key(tmp_path / "signing.pem")
    settings.TOKENS_KEYS = tmp_path
    assert api.post("/api/token/refresh/", {"refresh": refresh}).status_code == 200
