"""Sessions: begin, refresh, list and end them.

Each login is a row. Every refresh rotates the refresh token. Tokens are numbered, and the row stores the number of the
current one.

| Refresh token | Result |
| --- | --- |
| the current one | its successor becomes current |
| the previous one | the same successor: two tabs refreshed concurrently, or an answer was lost |
| an older one, within `OVERLAP` after the use of its successor | the same successor |
| any other | 401; the session ends (RFC 9700 section 4.14.2) |

`UPDATE … WHERE rotation = …` decides which of two concurrent requests rotates, on every database.
"""

import ipaddress
import json
import logging
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import update_last_login
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError

from common.api.exceptions import NotAuthenticated
from common.http.addresses import client_address
from users_api.models import Session, User
from users_api.tokens import AccessToken, RefreshToken

logger = logging.getLogger(__name__)

OVERLAP = 60  # seconds
INVALID = "The refresh token is no longer valid. Log in again."
# In SQL, because the ORM would spend a third of a refresh on compiling these two. FIND also checks the account, because
# plain SQL may have changed it without ending its sessions.
FIND = """
SELECT session.*, account.username, account.is_staff
FROM users_api_session AS session JOIN users_api_user AS account ON account.id = session.user_id
WHERE session.key = %s AND account.is_active AND session.password_checked >= account.password_set
"""
ROTATE = """
UPDATE users_api_session SET rotation = %s, issued = %s, used = %s, network = %s, device = %s
WHERE id = %s AND rotation = %s
"""
# The first key that is in the User-Agent counts. Order matters: most browsers also name similar ones.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iOS",
    "iPad": "iPadOS",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def begin(request: HttpRequest, user: User) -> Session:
    """Store a new session of an account."""
    now = timezone.now()
    return user.sessions.create(
        began=now,
        used=now,
        ends=now + settings.SESSION_LIFETIME,
        password_checked=max(now, user.password_set),  # another pod's clock may be ahead
        network=network(client_address(request)),
        device=device(request),
    )


def log_in(request: HttpRequest, user: User, password: str) -> tuple[AccessToken, RefreshToken] | None:
    """Begin a session and return its tokens.

    Return None if the account was switched off, or its password changed, since `authenticate`.
    """
    delete_expired(timezone.now())  # in case no job runs `manage.py flush_expired`
    with transaction.atomic():
        stored = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
        if stored is None or (stored.password != user.password and not stored.check_password(password)):
            return None
        update_last_login(User, stored)
        session = begin(request, stored)
    return AccessToken.for_session(session), RefreshToken.for_session(session, 0)


def refresh(request: HttpRequest, text: str) -> tuple[AccessToken, RefreshToken]:
    """Return an access token and the successor of a refresh token.

    Raise `NotAuthenticated` (401) if the token or its session is invalid. End the session if the token was stolen.
    """
    try:
        token = RefreshToken(text)
    except TokenError:
        raise NotAuthenticated(INVALID) from None
    while True:
        session = _find(token.key)
        if session is None:
            raise NotAuthenticated(INVALID)
        if token.rotation < session.rotation:
            _check_used_token(request, session, token.rotation)
            break
        # A number above the current one was issued before a backup was restored.
        if _rotate(request, session, token.rotation + 1):
            break
    return AccessToken.for_session(session), RefreshToken.for_session(session, token.rotation + 1)


def end_by_token(text: str) -> None:
    """End the session of a refresh token.

    An invalid token is not an error (RFC 7009 section 2.2).
    """
    try:
        Session.objects.filter(key=RefreshToken(text).key).delete()
    except TokenError:
        return


def usable(user: User) -> QuerySet[Session]:
    """Return the sessions of an account that can be renewed, last used first."""
    return user.sessions.filter(password_checked__gte=user.password_set).exclude(_expired(timezone.now()))


def end(user: User, session_id: int) -> bool:
    """End a session of an account. Return False if it has none with this id."""
    return usable(user).filter(pk=session_id).delete()[0] > 0


def end_others(user: User, current: Session | None) -> None:
    """End all sessions of an account except the current one."""
    user.sessions.exclude(pk=current.pk if current else 0).delete()


def delete_expired(now: datetime) -> int:
    """Delete the expired sessions. Return how many."""
    return Session.objects.filter(_expired(now)).delete()[0]


def is_usable(session: Session) -> bool:
    """Return whether the session has not expired and its account may use it."""
    user = session.user
    return timezone.now() < session.expires and user.is_active and session.password_checked >= user.password_set


def network(address: str) -> str:
    """Return the /24 (IPv4) or /48 (IPv6) network of an address, or ""."""
    if not address:
        return ""
    return str(ipaddress.ip_network((address, 48 if ":" in address else 24), strict=False))


def device(request: HttpRequest) -> str:
    """Return the kind of device of a request, such as "Firefox on Linux", or ""."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    if not agent.startswith("Mozilla/"):
        product = re.match(r"[A-Za-z0-9._-]{1,50}", agent)
        return product[0] if product else ""
    browser = next((name for mark, name in BROWSERS.items() if mark in agent), "Browser")
    system = next((name for mark, name in SYSTEMS.items() if mark in agent), "")
    return f"{browser} on {system}" if system else browser


def _expired(now: datetime) -> Q:
    return Q(ends__lte=now) | Q(used__lte=now - settings.SESSION_IDLE)


def _find(key: UUID) -> Session | None:
    """Return a usable session. Its `user` has only the claims of an access token."""
    session: Any = next(iter(Session.objects.raw(FIND, [key.hex])), None)
    if session is None or session.expires <= timezone.now():
        return None
    session.user = User(pk=session.user_id, username=session.username, is_staff=bool(session.is_staff))
    return session


def _rotate(request: HttpRequest, session: Session, rotation: int) -> bool:
    """Make a token current. Return False if another request changed the session."""
    now = timezone.now()
    second = int(now.timestamp())
    # Keep the last number issued before the overlap: it marks which tokens are too old.
    old = [each for each in session.issued if each[0] < second - OVERLAP][-1:]
    recent = [each for each in session.issued if second - OVERLAP <= each[0] < second]
    changes: list[Any] = [
        rotation,
        json.dumps([*old, *recent, [second, rotation]]),
        connection.ops.adapt_datetimefield_value(now),
        network(client_address(request)),
        device(request),
    ]
    with connection.cursor() as cursor:
        cursor.execute(ROTATE, [*changes, session.pk, session.rotation])
        return cursor.rowcount == 1


def _check_used_token(request: HttpRequest, session: Session, rotation: int) -> None:
    """End the session and raise `NotAuthenticated` if a used token was stolen."""
    now = timezone.now()
    if rotation == session.rotation - 1:
        # Without a time limit: a client may notice days later that an answer was lost. But the device must match, or a
        # thief and the owner could alternate one token apart.
        late = now - session.used > timedelta(seconds=OVERLAP)
        if not late or device(request) == session.device:
            return
    else:
        # The second token after this one was issued when its successor was used.
        before = [number for second, number in session.issued if second < int(now.timestamp()) - OVERLAP]
        if not before or rotation + 2 > before[-1]:
            return
    logger.warning(
        "session %s of %s ended: refresh token %s of %s was used again, from %s (%s); last used from %s (%s)",
        session.pk,
        session.user.username,
        rotation,
        session.rotation,
        client_address(request) or "an unknown address",
        device(request) or "unknown device",
        session.network or "an unknown network",
        session.device or "unknown device",
    )
    session.delete()
    raise NotAuthenticated(INVALID)
