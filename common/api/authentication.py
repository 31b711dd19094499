"""Authenticate API requests by their access token."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from common import tokens
from common.api.exceptions import NotAuthenticated, ServiceUnavailable
from common.http.middleware import MAX_HEADER_LENGTH
from common.http.request_id import add_log_fields
from common.tokens.keys import KeysUnavailable, key_set


class TokenAuthentication(BaseAuthentication):
    """DRF authentication class that sets `request.user` to a `tokens.TokenUser`."""

    def authenticate(self, request: Request) -> tuple[tokens.TokenUser, None] | None:
        """Return `(user, None)`, or None if the request has no Authorization header.

        Raise `NotAuthenticated` (401) if the token is invalid. Raise `ServiceUnavailable` (503) if this process has
        not loaded the public keys yet.
        """
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        if len(header) > MAX_HEADER_LENGTH:
            raise NotAuthenticated("The token is too long.")
        try:
            user = tokens.from_header(header, key_set())
        except tokens.InvalidToken as error:
            raise NotAuthenticated(str(error)) from None
        except KeysUnavailable:
            raise ServiceUnavailable("Tokens cannot be verified right now. Try again soon.") from None
        add_log_fields(account=user.user_id)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the WWW-Authenticate header for a 401 (RFC 6750 section 3)."""
        return "Bearer"
