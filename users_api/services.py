"""Limit sign-ups, log what staff do, and set passwords."""

import math
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from common import events
from common.api.exceptions import TooManyRequests
from common.events import Event
from common.http.addresses import client_address
from users_api import login_limit
from users_api.models import Session, SignUp, User

CLOSED = "Sign-up is closed. Ask the staff of this site for an account."


class TooManySignUps(TooManyRequests):
    """Response 429, because of too many attempts to sign up from one address.

    `wait` is in seconds.
    """

    default_detail = "Too many sign-ups from this address."


class StaffAction(StrEnum):
    """An action that staff take on an account.

    The field `action` of a `staff.acted` event contains the value. Alerts may use the values, so do not rename them.
    """

    CREATE_ACCOUNT = "create_account"
    CHANGE_RIGHTS = "change_rights"
    SWITCH_ON = "switch_on"
    SWITCH_OFF = "switch_off"
    SET_PASSWORD = "set_password"  # noqa: S105
    END_SESSIONS = "end_sessions"


def record_staff_action(action: StaffAction, account: User) -> None:
    """Record an action on an account.

    The event's log line also contains the id of the staff user, who sent the current request.
    """
    events.record(Event.STAFF_ACTED, action=action, target=account.pk)


def log_creation(staff: User, created: User) -> None:
    """Record that staff created an account with the API.

    Add an entry to the admin's log, and record a `staff.acted` event.
    """
    LogEntry.objects.log_actions(staff.pk, [created], ADDITION, change_message=[{"added": {}}], single_object=True)
    record_staff_action(StaffAction.CREATE_ACCOUNT, created)


@receiver(pre_delete, sender=User)
def end_sessions_of_deleted_account(instance: User, **kwargs: object) -> None:
    """End the sessions of an account before the account is deleted.

    Otherwise, Django would delete the sessions with the account, but no `session.ended` event would be recorded.
    """
    instance.end_sessions()


@receiver(user_logged_in)
def record_admin_login(user: User, **kwargs: object) -> None:
    """Record a login to the admin. `users_api.sessions` records logins to the API."""
    events.record(Event.LOGIN_SUCCEEDED, account=user.pk)


@receiver(user_logged_out)
def record_admin_logout(user: User | None, **kwargs: object) -> None:
    """Record a logout from the admin."""
    if user:
        events.record(Event.LOGGED_OUT, account=user.pk)


def check_sign_up(request: HttpRequest) -> None:
    """Count an attempt to sign up.

    Raise `PermissionDenied` (403) if sign-up is closed. Raise `TooManySignUps` (429) after too many attempts from one
    address. Failed attempts count too, because each of them reveals whether a name is taken.
    """
    if settings.SIGN_UP != "open":
        raise PermissionDenied(CLOSED)
    now = timezone.now()
    own = SignUp.objects.create(address=login_limit.origin(client_address(request), login_limit.SITE_BITS), time=now)
    # Count the attempts after the insert, so that concurrent requests count each other's attempts.
    since = now - settings.LOGIN_FAILURES_WINDOW
    attempts = SignUp.objects.filter(address=own.address, time__gt=since, time__lte=now + login_limit.SKEW)
    attempts = attempts.order_by("-time", "-pk")
    times = list(attempts.values_list("time", flat=True)[: settings.SIGN_UPS_PER_ADDRESS + 1])
    if len(times) > settings.SIGN_UPS_PER_ADDRESS:
        own.delete()
        raise TooManySignUps(wait=max(1, math.ceil((times[-1] - since) / timedelta(seconds=1))))


def delete_old_sign_ups(now: datetime) -> int:
    """Delete the attempts to sign up that no longer count. Return how many."""
    window = settings.LOGIN_FAILURES_WINDOW
    return SignUp.objects.filter(Q(time__lte=now - window) | Q(time__gt=now + window)).delete()[0]


def set_password(user: User, password: str, keep: Session | None = None) -> None:
    """Store a new password and end all sessions of the account, except `keep`.

    The API and the admin use this function. Raise `ValidationError` if the password is too long.
    """
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password", "password_set"])
        user.end_sessions(keep)
        if keep:
            user.sessions.update(password_checked=user.password_set)
    events.record(Event.PASSWORD_CHANGED, target=user.pk)


def change_password(request: HttpRequest, user: User, session: Session | None, old: str, new: str) -> None:
    """Store a new password and end the other sessions of the account.

    Raise `ValidationError` if the old password is wrong. Raise `users_api.login_limit.TooManyFailures` if too many
    logins have failed; a wrong old password counts as a failed login.
    """
    authenticated = authenticate(request, username=user.username, password=old)
    with transaction.atomic():
        stored = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
        unchanged = authenticated is not None and stored == authenticated
        # Another request may have changed the password since `authenticate`.
        if not unchanged or (stored.password != authenticated.password and not stored.check_password(old)):
            raise ValidationError({"old_password": ["The password is wrong."]})
        set_password(stored, new, keep=session)
