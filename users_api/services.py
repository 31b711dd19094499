"""Logging in and out: what is written when a person comes, stays and goes."""

import hashlib
import secrets
import time
import uuid
from datetime import timedelta

import jwt
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from common.api.exceptions import NotAuthenticated
from common.tokens import CLOCK_SKEW
from common.tokens.keys import ALGORITHM
from users_api.keys import key_ring
from users_api.models import RefreshToken, User

WRONG = "The user name or the password is wrong."


def log_in(request: HttpRequest, *, username: str, password: str) -> tuple[str, str]:
    """Return an access token and a refresh token; 401 for any wrong pair, 429 after too many."""
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise NotAuthenticated(WRONG)
    RefreshToken.objects.filter(expires__lte=timezone.now()).delete()  # anybody's: not all come back
    refresh = secrets.token_urlsafe(32)
    with transaction.atomic():
        # The password may have been changed, or the account switched off, since they were looked at.
        stored = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
        if stored is None or (stored.password != user.password and not stored.check_password(password)):
            raise NotAuthenticated(WRONG)
        update_last_login(User, stored)
        stored.refresh_tokens.create(digest=_digest(refresh), expires=timezone.now() + settings.REFRESH_TOKEN_LIFETIME)
    return access_token(stored), refresh


def refresh_access(refresh: str) -> str:
    """Return a new access token; 401 if the refresh token is unknown, ended, revoked, or its account is off."""
    token = RefreshToken.objects.select_related("user").filter(digest=_digest(refresh)).first()
    if (
        token is None
        or token.expires <= timezone.now()
        # Left by an earlier release, or by hand; the clock of the pod that set the password may have been ahead.
        or token.creation + timedelta(seconds=CLOCK_SKEW) < token.user.password_set
        or not token.user.is_active
    ):
        raise NotAuthenticated("The refresh token is not valid any more. Log in again.")
    return access_token(token.user)


def log_out(refresh: str) -> None:
    """End a refresh token; one that is unknown has ended already (RFC 7009 section 2.2)."""
    RefreshToken.objects.filter(digest=_digest(refresh)).delete()


def access_token(user: User) -> str:
    """Return a JWT that says who the user is, for `ACCESS_TOKEN_LIFETIME`."""
    now = int(time.time())
    ring = key_ring()
    return jwt.encode(
        {
            "username": user.username,
            "user_id": user.pk,
            "is_staff": user.is_staff,
            "iat": now,
            "exp": now + int(settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
            "jti": uuid.uuid4().hex,
            "iss": settings.TOKENS_ISSUER,
        },
        ring.signing,
        algorithm=ALGORITHM,
        headers={"kid": ring.kid},
    )


def _digest(refresh: str) -> str:
    return hashlib.sha256(refresh.encode()).hexdigest()
