"""How many logins may fail, counted in the database and so across all processes and pods.

A name is limited for one address only: nobody can lock another person out from elsewhere. What is
refused is not counted, so that a lock ends by itself.
https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html#login-throttling
"""

import ipaddress
import math
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import Throttled

from users_api.models import USERNAME_MAX_LENGTH, LoginFailure


class TooManyFailures(Throttled):
    """429; `wait` is in seconds."""

    wait: int

    default_detail = "Too many failed logins."


def origin(address: str) -> str | None:
    """Return the address that failures are counted for: of IPv6 its network of 64 bits, for one machine may have
    every address in it (RFC 8981); None for an empty one."""
    if ":" not in address:
        return address or None
    return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)


def check(username: str, address: str | None) -> int:
    """Return how often this name has failed from this address.

    Raise `TooManyFailures` if the name from this address, or this address, has used up its failures.
    """
    name = _digest(username)
    newest = _from(address).order_by("-id").values_list("time", "name_digest")
    failures = list(newest[: settings.LOGIN_FAILURES_PER_ADDRESS])  # more than these are refused anyway
    all_times = [time for time, _ in failures]
    own_times = [time for time, digest in failures if digest == name]
    for times, limit in [
        (own_times, settings.LOGIN_FAILURES_PER_NAME),
        (all_times, settings.LOGIN_FAILURES_PER_ADDRESS),
    ]:
        if len(times) >= limit:
            wait = times[limit - 1] + settings.LOGIN_FAILURES_WINDOW - timezone.now()
            raise TooManyFailures(wait=max(1, math.ceil(wait / timedelta(seconds=1))))
    return len(own_times)


def record(username: str, address: str | None) -> None:
    """Count a failure. Raise `TooManyFailures` if, of many at the same time, this one is beyond the limit."""
    LoginFailure.objects.filter(time__lt=timezone.now() - settings.LOGIN_FAILURES_WINDOW).delete()
    own = LoginFailure.objects.create(name_digest=_digest(username), address=address)
    for failures, limit in [
        (_from(address).filter(name_digest=own.name_digest), settings.LOGIN_FAILURES_PER_NAME),
        (_from(address), settings.LOGIN_FAILURES_PER_ADDRESS),
    ]:
        # By the count of all, not by id: a row with a lower id may not be seen yet. Kept are the first ones by id.
        if failures.count() > limit:
            if failures.filter(id__lte=own.id).count() > limit:
                own.delete()
            check(username, address)


def forget(username: str, address: str | None) -> None:
    """Forget the failures of this name from this address: the person has remembered the password."""
    LoginFailure.objects.filter(name_digest=_digest(username), address=address).delete()


def _from(address: str | None) -> QuerySet[LoginFailure]:
    """Return the failures that count for an address now."""
    return LoginFailure.objects.filter(address=address, time__gt=timezone.now() - settings.LOGIN_FAILURES_WINDOW)


def _digest(username: str) -> str:
    # All names that are too long and begin alike count as one.
    return salted_hmac("users_api.login_limit", username[: USERNAME_MAX_LENGTH + 1], algorithm="sha256").hexdigest()
