"""Limit failed logins. The database counts them, so the limits hold across processes and pods.

| What counts together | Limit, a setting | Within |
| --- | --- | --- |
| a name, from a network: an IPv4 address or 64 bits of IPv6 | `LOGIN_FAILURES_PER_NAME` | 15 minutes |
| all names, from such a network | `LOGIN_FAILURES_PER_ADDRESS` | 15 minutes |
| all names, from a site: 48 bits of IPv6 | `LOGIN_FAILURES_PER_ADDRESS` | 15 minutes |
| a name, from everywhere | `LOGIN_FAILURES_PER_ACCOUNT` | an hour |

The last two do not apply to a network from which the account has logged in within 30 days: strangers cannot lock out
its owner there. A refused login is not counted, so every lock ends.
https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html#login-throttling
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import Throttled

from common.tokens import CLOCK_SKEW
from users_api.models import USERNAME_MAX_LENGTH, KnownNetwork, LoginFailure, User

SKEW = timedelta(seconds=CLOCK_SKEW)  # a time that is further in the future is from a wrong clock
SITE_BITS = 48  # of IPv6: what a provider gives to one site at most (RFC 6177 section 2)
NOTE_AFTER = timedelta(days=1)  # a network that was noted more recently is not noted again


class TooManyFailures(Throttled):
    """429; `wait` is in seconds."""

    wait: int

    default_detail = "Too many failed logins."


@dataclass(frozen=True)
class Limit:
    """Failures that count together, how many there may be, and how long each counts."""

    failures: list[Any]  # rows with `id` and `time`
    most: int
    window: timedelta

    def wait(self, now: datetime) -> int:
        """Return the seconds until there is room for one more failure."""
        frees = sorted(row.time for row in self.failures)[-self.most]  # the oldest of the last `most`
        wait = min(frees + self.window - now, self.window)
        return max(1, math.ceil(wait / timedelta(seconds=1)))


def origin(address: str, bits: int = 64) -> str | None:
    """Return the address that failures are counted for, or None for an empty one.

    IPv6 counts by network, because one machine may have every address of its 64 bits (RFC 8981).
    """
    if ":" not in address:
        return address or None
    return str(ipaddress.IPv6Network((address, bits), strict=False).network_address)


def check(username: str, address: str) -> int:
    """Return how often this name has failed from this address; raise `TooManyFailures` if a limit is reached."""
    now = timezone.now()
    limits = _limits(username, address, now)
    for limit in limits:
        if len(limit.failures) >= limit.most:
            raise TooManyFailures(wait=limit.wait(now))
    return len(limits[0].failures)


def record(username: str, address: str) -> None:
    """Count a failure. Raise `TooManyFailures` if, of many at the same time, this one is beyond a limit."""
    now = timezone.now()
    delete_old(now)
    own = LoginFailure.objects.create(
        name_digest=_digest(username), address=origin(address), site=origin(address, SITE_BITS), time=now
    )
    now = timezone.now()  # storing it may have waited for other requests, whose failures count too
    for limit in _limits(username, address, now):
        # By the count of all, not by id: a row with a lower id may not be visible yet. The first ones by id stay.
        if len(limit.failures) > limit.most:
            if own.id in sorted(row.id for row in limit.failures)[limit.most :]:
                own.delete()
            raise TooManyFailures(wait=limit.wait(now))


def forget(username: str, address: str) -> None:
    """Forget the failures of this name from this address: the person has remembered the password."""
    LoginFailure.objects.filter(name_digest=_digest(username), address=origin(address)).delete()


def remember(user: User, address: str) -> None:
    """Note that the account has logged in from a network: once a day, because a login must stay cheap."""
    now, network = timezone.now(), origin(address)
    noted = KnownNetwork.objects.filter(user=user, network=network, time__gt=now - NOTE_AFTER)
    if network is None or noted.exists():
        return
    KnownNetwork.objects.bulk_create(
        [KnownNetwork(user=user, network=network, time=now)],
        update_conflicts=True,
        unique_fields=["user", "network"],
        update_fields=["time"],
    )


def delete_old(now: datetime) -> int:
    """Delete the failures that no longer count, and the networks that are no longer known; return how many.

    A failure far in the future was counted by a machine with a wrong clock.
    """
    window = settings.LOGIN_FAILURES_ACCOUNT_WINDOW
    failures = LoginFailure.objects.filter(Q(time__lt=now - window) | Q(time__gt=now + window))
    networks = KnownNetwork.objects.filter(time__lt=now - settings.KNOWN_NETWORK_AGE)
    return failures.delete()[0] + networks.delete()[0]


def _limits(username: str, address: str, now: datetime) -> list[Limit]:
    """Return the limits that apply to a login; the first one is of this name from this network."""
    name, network, site = _digest(username), origin(address), origin(address, SITE_BITS)
    per_address, per_account = settings.LOGIN_FAILURES_PER_ADDRESS, settings.LOGIN_FAILURES_PER_ACCOUNT
    window, account_window = settings.LOGIN_FAILURES_WINDOW, settings.LOGIN_FAILURES_ACCOUNT_WINDOW
    here = Q(address=network) | Q(site=site)
    failures = LoginFailure.objects.filter(
        Q(name_digest=name, time__gt=now - account_window) | here & Q(time__gt=now - window),
        time__lte=now + SKEW,
    )
    rows = list(failures.values_list("id", "time", "name_digest", "address", "site", named=True))
    recent = [row for row in rows if row.time > now - window]
    from_network = [row for row in recent if row.address == network]
    limits = [
        Limit([row for row in from_network if row.name_digest == name], settings.LOGIN_FAILURES_PER_NAME, window),
        Limit(from_network, per_address, window),
    ]
    of_strangers = [
        Limit([row for row in recent if row.site == site], per_address, window),
        Limit([row for row in rows if row.name_digest == name], per_account, account_window),
    ]
    reached = [limit for limit in of_strangers if len(limit.failures) >= limit.most]
    return limits + (reached if reached and not _is_known(username, network, now) else [])


def _is_known(username: str, network: str | None, now: datetime) -> bool:
    """Return whether an account with this name has logged in from this network within `KNOWN_NETWORK_AGE`."""
    since = now - settings.KNOWN_NETWORK_AGE
    return KnownNetwork.objects.filter(user__username=username, network=network, time__gt=since).exists()


def _digest(username: str) -> str:
    # All names that are too long and begin alike count as one.
    return salted_hmac("users_api.login_limit", username[: USERNAME_MAX_LENGTH + 1], algorithm="sha256").hexdigest()
