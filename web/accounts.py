"""Who is logged in: the cookies `session` (an Authorization header's value) and `refresh` (a refresh token)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from common import tokens
from common.tokens.keys import KeysUnavailable, key_set
from web.backends import users
from web.backends.exceptions import BackendError, InvalidInput, NotAuthenticated, Unavailable

Found = TypeVar("Found")
SESSION = "session"
REFRESH = "refresh"
COOKIE_AGE = 14 * 24 * 3600  # seconds; a refresh token ends after as long
RENEW_BEFORE = 30  # seconds; a token that ends this soon could end on its way to an API


@dataclass
class Account:
    """The person whose request this is: `user` if logged in, or `error` if an API that is away cannot say."""

    user: tokens.TokenUser | None = None
    authorization: str = ""
    refresh: str = ""
    error: BackendError | None = None
    changed: bool = False

    @classmethod
    def from_request(cls, request: HttpRequest) -> "Account":
        """Return who the cookies speak for, with the access token renewed if it has ended or is about to."""
        account = cls(authorization=request.COOKIES.get(SESSION, ""), refresh=request.COOKIES.get(REFRESH, ""))
        try:
            if account.authorization:
                account._verify()
            if account.refresh and (account.user is None or account.user.expires < time.time() + RENEW_BEFORE):
                account._renew()
        except KeysUnavailable:
            account.error = Unavailable(users.SERVICE)
        return account

    def log_in(self, authorization: str, refresh: str) -> None:
        """Take over what a login returned."""
        self.authorization, self.refresh, self.changed = authorization, refresh, True

    def log_out(self) -> None:
        """Forget the person."""
        self.user, self.authorization, self.refresh, self.changed = None, "", "", True

    def call(self, function: Callable[..., Found], *arguments: Any) -> Found:
        """Return what a call to an API returns, given the authorization and these arguments.

        A token that the API refuses is renewed, once: while a key is replaced, it may know others than this process.
        Raises what the call raises, or why the token could not be renewed.
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
        for name, value in ((SESSION, self.authorization), (REFRESH, self.refresh)):
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
            authorization = users.refresh(self.refresh)
            self.user = tokens.from_header(authorization, key_set())
        except (NotAuthenticated, InvalidInput):
            self.log_out()
        except (BackendError, tokens.InvalidToken, KeysUnavailable) as error:
            # A token that still holds is good enough until the API is back.
            if self.user is None:
                self.error = error if isinstance(error, BackendError) else Unavailable(users.SERVICE)
        else:
            self.authorization, self.changed = authorization, True


class Request(HttpRequest):
    """A request after `web.middleware.AccountMiddleware`."""

    account: Account
