"""Limit failed logins.

The database stores them, so each limit applies across all processes and pods.

| Failures of | Setting | Within |
| --- | --- | --- |
| one name from one network (an IPv4 address, or a /64 IPv6 network) | `LOGIN_FAILURES_PER_NAME` | 15 minutes |
| all names from one network | `LOGIN_FAILURES_PER_ADDRESS` | 15 minutes |
| all names from one site (a /48 IPv6 network) | `LOGIN_FAILURES_PER_ADDRESS` | 15 minutes |
| one name from all addresses | `LOGIN_FAILURES_PER_ACCOUNT` | an hour |

The last two limits do not apply to logins from an account's known networks. A network is known if the account has
logged in from it in the last 30 days. So attackers in other networks cannot lock out an owner who uses a known network.

A login that a limit refuses does not count as another failure. So further attempts do not extend the wait.
https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html#login-throttling
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from common import events
from common.api.exceptions import TooManyRequests
from common.events import Event
from common.tokens import CLOCK_SKEW
from users_api.models import USERNAME_MAX_LENGTH, KnownNetwork, LoginFailure, User

SKEW = timedelta(seconds=CLOCK_SKEW)  # a failure dated further ahead comes from a wrong clock and does not count
SITE_BITS = 48  # the largest IPv6 network that a provider assigns to one site (RFC 6177 section 2)
UPDATE_AFTER = timedelta(days=1)  # a login updates a known network's `time` only if it is older than this


class TooManyFailures(TooManyRequests):
    """Response 429, because too many logins have failed. `wait` is in seconds."""

    wait: int

    default_detail = "Too many failed logins."


@dataclass(frozen=True)
class Limit:
    """A limit on failed logins, and the failures that currently count.

    `maximum` is the maximum number of failures. Each failure counts for the time `window`.
    """

    failures: list[Any]  # rows with `id` and `time`
    maximum: int
    window: timedelta

    def wait(self, now: datetime) -> int:
        """Return the seconds until another login is allowed."""
        # A login is allowed once the oldest of the last `maximum` failures no longer counts.
        oldest = sorted(row.time for row in self.failures)[-self.maximum]
        wait = min(oldest + self.window - now, self.window)
        return max(1, math.ceil(wait / timedelta(seconds=1)))


def origin(address: str, bits: int = 64) -> str | None:
    """Return the network of an address, or None if there is no address.

    For IPv4, the result is the address itself. For IPv6, it is the first address of the network that has the same first
    `bits` bits. One machine may use all addresses of a /64 IPv6 network (RFC 8981).
    """
    if ":" not in address:
        return address or None
    return str(ipaddress.IPv6Network((address, bits), strict=False).network_address)


def check(username: str, address: str) -> int:
    """Raise `TooManyFailures` if a limit has been reached.

    Otherwise, return how many logins with this name have failed from this address's network in the last 15 minutes.
    """
    now = timezone.now()
    limits = _limits(username, address, now)
    for limit in limits:
        if len(limit.failures) >= limit.maximum:
            _refuse(limit.wait(now))
    return len(limits[0].failures)


def record(username: str, address: str) -> None:
    """Store a failed login.

    Raise `TooManyFailures` if the login exceeds a limit. This happens if other logins fail at the same time.
    """
    now = timezone.now()
    delete_old(now)
    own = LoginFailure.objects.create(
        name_digest=_digest(username), address=origin(address), site=origin(address, SITE_BITS), time=now
    )
    # Read the clock again. On SQLite, the INSERT waits while other requests write. They may store failures that count
    # too, but `_limits` ignores failures that are much later than `now`.
    now = timezone.now()
    for limit in _limits(username, address, now):
        # Count the rows again. If there are too many, keep only those with the lowest ids.
        if len(limit.failures) > limit.maximum:
            if own.id in sorted(row.id for row in limit.failures)[limit.maximum :]:
                own.delete()
            _refuse(limit.wait(now))


def forget(username: str, address: str) -> None:
    """Delete the failures with this name from the network of this address.

    Call this function after a successful login.
    """
    LoginFailure.objects.filter(name_digest=_digest(username), address=origin(address)).delete()


def remember(user: User, address: str) -> None:
    """Store the network of a successful login as known.

    To save writes, update the `time` of a known network at most once a day.
    """
    now, network = timezone.now(), origin(address)
    recent = KnownNetwork.objects.filter(user=user, network=network, time__gt=now - UPDATE_AFTER)
    if network is None or recent.exists():
        return
    KnownNetwork.objects.bulk_create(
        [KnownNetwork(user=user, network=network, time=now)],
        update_conflicts=True,
        unique_fields=["user", "network"],
        update_fields=["time"],
    )


def delete_old(now: datetime) -> int:
    """Delete old failures, and networks that are no longer known.

    Return the number of deleted rows.

    Also delete failures that are far in the future, because they come from a wrong clock.
    """
    window = settings.LOGIN_FAILURES_ACCOUNT_WINDOW
    failures = LoginFailure.objects.filter(Q(time__lt=now - window) | Q(time__gt=now + window))
    networks = KnownNetwork.objects.filter(time__lt=now - settings.KNOWN_NETWORK_AGE)
    return failures.delete()[0] + networks.delete()[0]


def _refuse(wait: int) -> NoReturn:
    """Log the refused login and raise `TooManyFailures`. `wait` is in seconds."""
    events.record(Event.LOGIN_LIMITED)
    raise TooManyFailures(wait=wait)


def _limits(username: str, address: str, now: datetime) -> list[Limit]:
    """Return the limits that apply to a login.

    The first of them limits failures with this name from the network of this address.
    """
    name, network, site = _digest(username), origin(address), origin(address, SITE_BITS)
    per_address, per_account = settings.LOGIN_FAILURES_PER_ADDRESS, settings.LOGIN_FAILURES_PER_ACCOUNT
    window, account_window = settings.LOGIN_FAILURES_WINDOW, settings.LOGIN_FAILURES_ACCOUNT_WINDOW
    same_origin = Q(address=network) | Q(site=site)
    failures = LoginFailure.objects.filter(
        Q(name_digest=name, time__gt=now - account_window) | same_origin & Q(time__gt=now - window),
        time__lte=now + SKEW,
    )
    rows = list(failures.values_list("id", "time", "name_digest", "address", "site", named=True))
    recent = [row for row in rows if row.time > now - window]
    from_network = [row for row in recent if row.address == network]
    limits = [
        Limit([row for row in from_network if row.name_digest == name], settings.LOGIN_FAILURES_PER_NAME, window),
        Limit(from_network, per_address, window),
    ]
    for_unknown_networks = [
        Limit([row for row in recent if row.site == site], per_address, window),
        Limit([row for row in rows if row.name_digest == name], per_account, account_window),
    ]
    reached = [limit for limit in for_unknown_networks if len(limit.failures) >= limit.maximum]
    return limits + (reached if reached and not _is_known(username, network, now) else [])


def _is_known(username: str, network: str | None, now: datetime) -> bool:
    """Return whether the network is one of the account's known networks."""
    since = now - settings.KNOWN_NETWORK_AGE
    return KnownNetwork.objects.filter(user__username=username, network=network, time__gt=since).exists()


def _digest(username: str) -> str:
    # A name that is too long is truncated, so all such names with the same beginning count as one name.
    return salted_hmac("users_api.login_limit", username[: USERNAME_MAX_LENGTH + 1], algorithm="sha256").hexdigest()
