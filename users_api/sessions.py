"""Begin, refresh, list and end sessions.

Each login begins a session, which is a row in the database. A client refreshes its session with a refresh token, and
gets the next refresh token (the successor). The tokens of a session are numbered, and the row stores the
number of the newest one.

| Refresh token that the client sends | Result |
| --- | --- |
| the newest one | The client gets its successor, which is now the newest one. |
| the one before the newest, within `OVERLAP` after the refresh | The client gets the same successor again. |
| the one before the newest, later, from the same device | The client gets the same successor again. |
| an older one, within `OVERLAP` after the use of its successor | The client gets the same successor again. |
| any other | The client gets 401, and the session ends: the token may have been stolen (RFC 9700 section 4.14.2). |

A client sends an earlier token if it refreshes in two tabs at the same time, or if a response is lost. If two requests
send the newest token at the same time, `UPDATE … WHERE rotation = …` succeeds for only one of them. The other request
then reads the row again.
"""

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

from common import events
from common.api.exceptions import NotAuthenticated
from common.events import Event
from common.http.addresses import client_network
from common.http.request_id import add_log_fields
from users_api.models import Session, User
from users_api.tokens import AccessToken, RefreshToken

logger = logging.getLogger(__name__)

OVERLAP = 60  # seconds for which a token can still be used after its successor has been used
INVALID = "The refresh token is no longer valid. Log in again."
# These statements are in SQL, because generating them with the ORM would take a third of the time that a refresh takes.
# FIND also checks the account, because an operator may change accounts with SQL, which does not end their sessions.
FIND = """
SELECT session.*, account.username, account.is_staff
FROM users_api_session AS session JOIN users_api_user AS account ON account.id = session.user_id
WHERE session.key = %s AND account.is_active AND session.password_checked >= account.password_set
"""
ROTATE = """
UPDATE users_api_session SET rotation = %s, issued = %s, used = %s, network = %s, device = %s
WHERE id = %s AND rotation = %s
"""
# The first key that the User-Agent contains determines the browser. The order matters: for example, Edge sends "Edg",
# "Chrome/" and "Safari/".
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
    """Store a new session of an account, and return it."""
    now = timezone.now()
    return user.sessions.create(
        began=now,
        used=now,
        ends=now + settings.SESSION_LIFETIME,
        password_checked=max(now, user.password_set),  # password_set may be in the future, if a pod's clock was ahead
        network=client_network(request),
        device=device(request),
    )


def log_in(request: HttpRequest, user: User, password: str) -> tuple[AccessToken, RefreshToken] | None:
    """Begin a session for a user whose password was correct, and return its tokens.

    Return None if another request has switched off the account or changed its password in the meantime.
    """
    delete_expired(timezone.now())  # not every installation runs `manage.py flush_expired` regularly
    with transaction.atomic():
        stored = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
        if stored is None or (stored.password != user.password and not stored.check_password(password)):
            return None
        update_last_login(User, stored)
        session = begin(request, stored)
    add_log_fields(account=user.pk)
    events.record(Event.LOGIN_SUCCEEDED)
    return AccessToken.for_session(session), RefreshToken.for_session(session, 0)


def refresh(request: HttpRequest, text: str) -> tuple[AccessToken, RefreshToken]:
    """Return an access token and the successor of a refresh token.

    Raise `NotAuthenticated` (401) if the token or its session is not valid. End the session if the token may have
    been stolen.
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
        # Here, the token is normally the newest one. Its number is higher than the number in the row if the database
        # was restored from a backup. If another request has changed the row since it was read, read the row again.
        if _rotate(request, session, token.rotation + 1):
            break
    add_log_fields(account=session.user_id)
    return AccessToken.for_session(session), RefreshToken.for_session(session, token.rotation + 1)


def end_by_token(text: str) -> None:
    """End the session to which a refresh token belongs.

    An invalid token is not an error (RFC 7009 section 2.2).
    """
    try:
        session = Session.objects.filter(key=RefreshToken(text).key).first()
    except TokenError:
        return
    # `delete` returns 0 rows if a concurrent request has already deleted the session.
    if session and session.delete()[0]:
        events.record(Event.LOGGED_OUT, account=session.user_id)


def usable(user: User) -> QuerySet[Session]:
    """Return the sessions that an account can still use, most recently used first."""
    return user.sessions.filter(password_checked__gte=user.password_set).exclude(_expired(timezone.now()))


def end(user: User, session_id: int) -> bool:
    """End one session of an account. Return False if it has no session with this id."""
    ended = usable(user).filter(pk=session_id).delete()[0] > 0
    if ended:
        events.record(Event.SESSION_ENDED, target=user.pk)
    return ended


def delete_expired(now: datetime) -> int:
    """Delete the expired sessions. Return how many."""
    return Session.objects.filter(_expired(now)).delete()[0]


def is_usable(session: Session) -> bool:
    """Return whether the session can still be used.

    The session cannot be used if it has expired, or if its account is switched off. The session also cannot be used if
    the password was changed in another session or by staff after this session's login.
    """
    user = session.user
    return timezone.now() < session.expires and user.is_active and session.password_checked >= user.password_set


def device(request: HttpRequest) -> str:
    """Return the client's browser and operating system, such as "Firefox on Linux".

    If the client is not a browser, return the product name in the User-Agent, such as "curl". Return "" if the
    User-Agent has no product name.
    """
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
    """Return the session with this key if it can still be used, else None.

    Its `user` has only the fields that an access token needs.
    """
    session: Any = next(iter(Session.objects.raw(FIND, [key.hex])), None)
    if session is None or session.expires <= timezone.now():
        return None
    session.user = User(pk=session.user_id, username=session.username, is_staff=bool(session.is_staff))
    return session


def _rotate(request: HttpRequest, session: Session, rotation: int) -> bool:
    """Store the number of the newest token.

    Return False if another request has changed the session since it was read.
    """
    now = timezone.now()
    second = int(now.timestamp())
    # Of the numbers issued more than OVERLAP seconds ago, keep only the last one, which `_check_used_token` needs.
    old = [each for each in session.issued if each[0] < second - OVERLAP][-1:]
    recent = [each for each in session.issued if second - OVERLAP <= each[0] < second]
    changes: list[Any] = [
        rotation,
        json.dumps([*old, *recent, [second, rotation]]),
        connection.ops.adapt_datetimefield_value(now),
        client_network(request),
        device(request),
    ]
    with connection.cursor() as cursor:
        cursor.execute(ROTATE, [*changes, session.pk, session.rotation])
        return cursor.rowcount == 1


def _check_used_token(request: HttpRequest, session: Session, rotation: int) -> None:
    """Check a refresh token that is not the newest one of its session.

    If the token may have been stolen, end the session and raise `NotAuthenticated`. See the table at the top of this
    module.
    """
    now = timezone.now()
    if rotation == session.rotation - 1:
        # If a response was lost, the client may retry after days. After OVERLAP seconds, the retry must
        # come from the same device. Otherwise, a thief and the owner could refresh the session in turn, and neither
        # would ever send an older token.
        late = now - session.used > timedelta(seconds=OVERLAP)
        if not late or device(request) == session.device:
            return
    else:
        # When the successor of this token was used, the token with the number `rotation + 2` was issued.
        before = [number for second, number in session.issued if second < int(now.timestamp()) - OVERLAP]
        if not before or rotation + 2 > before[-1]:
            return
    logger.warning(
        "Ended session %s of account %s: refresh token %s was used again, but the newest is %s. The request came from "
        "%s (%s). The session was last used from %s (%s).",
        session.pk,
        session.user_id,
        rotation,
        session.rotation,
        client_network(request) or "an unknown network",
        device(request) or "unknown device",
        session.network or "an unknown network",
        session.device or "unknown device",
    )
    session.delete()
    events.record(Event.TOKEN_REUSED, target=session.user_id)
    raise NotAuthenticated(INVALID)
