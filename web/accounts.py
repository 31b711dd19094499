"""The logged-in user, read from two cookies.

The session cookie holds the value of an Authorization header ("Bearer" and an access token). The refresh cookie holds
a refresh token. The names of both cookies begin with the value of COOKIE_PREFIX.
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
COOKIE_AGE = 14 * 24 * 3600  # seconds from the last renewal; users_api may end the session earlier
RENEW_BEFORE = 30  # seconds; a token with less time left is renewed, as it could expire before an API checks it


def session_cookie() -> str:
    """Return the name of the cookie that holds the value of the Authorization header."""
    return f"{settings.COOKIE_PREFIX}session"


def refresh_cookie() -> str:
    """Return the name of the cookie that holds the refresh token."""
    return f"{settings.COOKIE_PREFIX}refresh"


@dataclass
class Account:
    """The account that a request belongs to.

    `user` is None if no user is logged in. `error` is set if web cannot identify the user because users_api is
    unavailable. `refused` is True if users_api refused the refresh token. `changed` is True if the cookies must be set
    or deleted. `client` has the headers that describe the browser to users_api.
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

        If the access token is missing, invalid or expired, or if it expires within `RENEW_BEFORE` seconds, renew it.
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
        """Keep the tokens that users_api issued at login.

        `save` stores them in the cookies.
        """
        self.authorization, self.refresh, self.changed = authorization, refresh, True

    def log_out(self) -> None:
        """Forget the user and the tokens. `save` deletes the cookies."""
        self.user, self.authorization, self.refresh, self.changed = None, "", "", True

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call an API function with the user's Authorization value, and return its result.

        If the API refuses the token, renew the token and repeat the call once. The API may refuse a valid token while
        the signing key is being replaced, because the API may not know the new key yet. If the call fails, raise its
        `BackendError`. If users_api is unavailable during the renewal, raise the `BackendError` of the renewal.
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
        """Set or delete the cookies, if the tokens have changed."""
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
            # The cookies are not deleted here. Only a page that requires a login deletes them.
            self.user, self.refused = None, True
        except (BackendError, tokens.InvalidToken, KeysUnavailable) as error:
            if isinstance(error, tokens.InvalidToken):
                logger.error("web refuses the token that %s has just issued: %s", users.SERVICE, error)
            # If the access token has not expired yet, the user stays logged in.
            if self.user is None:
                self.error = error if isinstance(error, BackendError) else Unavailable(users.SERVICE)
        else:
            self.authorization, self.refresh, self.changed = authorization, refresh, True


class Request(HttpRequest):
    """A request to which `web.middleware.AccountMiddleware` has added `account`."""

    account: Account
