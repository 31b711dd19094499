"""The logged-in user, read from two cookies.

They hold an Authorization header's value and a refresh token. Their names begin with the setting COOKIE_PREFIX.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from common import tokens
from common.tokens.keys import KeysUnavailable, key_set
from web.backends import users
from web.backends.exceptions import BackendError, InvalidInput, NotAuthenticated, Unavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
COOKIE_AGE = 14 * 24 * 3600  # seconds after the last renewal; users_api may end the session earlier
RENEW_BEFORE = 30  # seconds; a token could expire on its way to an API


def session_cookie() -> str:
    """Return the name of the cookie with the Authorization header's value."""
    return f"{settings.COOKIE_PREFIX}session"


def refresh_cookie() -> str:
    """Return the name of the cookie with the refresh token."""
    return f"{settings.COOKIE_PREFIX}refresh"


@dataclass
class Account:
    """The account of a request.

    `user` is None unless the user is logged in. `error` is set if an unavailable API leaves that unknown.
    `refused` is True if users_api refused the refresh token.
    """

    user: tokens.TokenUser | None = None
    authorization: str = ""
    refresh: str = ""
    error: BackendError | None = None
    refused: bool = False
    changed: bool = False
    client: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_request(cls, request: HttpRequest) -> "Account":
        """Read the account from the cookies.

        An access token that is expired, or expires within `RENEW_BEFORE`, is renewed.
        """
        account = cls(
            authorization=request.COOKIES.get(session_cookie(), ""),
            refresh=request.COOKIES.get(refresh_cookie(), ""),
            client=users.client(request),
        )
        try:
            if account.authorization:
                account._verify()
            if account.refresh and (account.user is None or account.user.expires < time.time() + RENEW_BEFORE):
                account._renew()
        except KeysUnavailable:
            account.error = Unavailable(users.SERVICE)
        return account

    def log_in(self, authorization: str, refresh: str) -> None:
        """Store the tokens of a login."""
        self.authorization, self.refresh, self.changed = authorization, refresh, True

    def log_out(self) -> None:
        """Forget the user."""
        self.user, self.authorization, self.refresh, self.changed = None, "", "", True

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call an API with the user's authorization and return the result.

        If the API refuses the token, renew it and retry once. While a key is replaced, the API and this process may
        know different keys. Raise the `BackendError` of the call, or of a renewal that failed.
        """
        try:
            return function(self.authorization, *arguments)
        except NotAuthenticated:
            self.user = None
            if self.refresh:
                self._renew()
            if self.error:
                raise self.error from None
            if self.user is None:
                raise
        return function(self.authorization, *arguments)

    def save(self, request: HttpRequest, response: HttpResponse) -> None:
        """Set or delete the cookies, if anything changed."""
        if not self.changed:
            return
        secure = settings.BEHIND_TLS or request.is_secure()
        for name, value in ((session_cookie(), self.authorization), (refresh_cookie(), self.refresh)):
            if value:
                response.set_cookie(name, value, max_age=COOKIE_AGE, httponly=True, samesite="Lax", secure=secure)
            else:
                response.delete_cookie(name, samesite="Lax")

    def _verify(self) -> None:
        try:
            self.user = tokens.from_header(self.authorization, key_set())
        except tokens.InvalidToken:
            self.user = None

    def _renew(self) -> None:
        try:
            authorization, refresh = users.refresh(self.refresh, self.client)
            self.user = tokens.from_header(authorization, key_set())
        except (NotAuthenticated, InvalidInput):
            # The cookies stay until a page requires a login. Public pages delete nothing.
            self.user, self.refused = None, True
        except (BackendError, tokens.InvalidToken, KeysUnavailable) as error:
            if isinstance(error, tokens.InvalidToken):
                logger.error("web refuses the token that the %s service has just issued: %s", users.SERVICE, error)
            # A token that has not expired remains usable.
            if self.user is None:
                self.error = error if isinstance(error, BackendError) else Unavailable(users.SERVICE)
        else:
            self.authorization, self.refresh, self.changed = authorization, refresh, True


class Request(HttpRequest):
    """A request after `web.middleware.AccountMiddleware`."""

    account: Account
