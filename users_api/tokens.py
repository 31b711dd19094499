"""Sign and read tokens.

The classes of this module are subclasses of djangorestframework-simplejwt's classes.

All projects verify access tokens with `common.tokens`. Only users_api reads refresh tokens, with this module.
"""

import functools
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError

from common.tokens.keys import ALGORITHM, KeysUnavailable, UnknownKey, key_set
from common.tokens.verification import CLOCK_SKEW
from users_api.keys import key_ring
from users_api.models import Session


class AccessTokenBackend(TokenBackend):
    """Backend that signs access tokens with RS256.

    The private key is in `signing.pem`. The header of a token contains `kid` and `typ: at+jwt` (RFC 9068 section 2.1).
    """

    def encode(self, payload: dict[str, Any]) -> str:
        """Return the signed token."""
        ring = key_ring()
        return jwt.encode(
            payload | {"iss": settings.TOKENS_ISSUER},
            ring.signing,
            algorithm=self.algorithm,
            headers={"kid": ring.kid, "typ": "at+jwt"},
        )

    def get_verifying_key(self, token: Any) -> jwt.PyJWK:
        """Return the public key that verifies a token.

        Raise `TokenBackendError` if the key is unknown.
        """
        try:
            return key_set().find(jwt.get_unverified_header(token).get("kid", ""))
        except (jwt.PyJWTError, UnknownKey, KeysUnavailable):
            raise TokenBackendError("Token is invalid") from None


class RefreshTokenBackend(TokenBackend):
    """Backend that signs refresh tokens with HS256 and a key derived from SECRET_KEY.

    Keys derived from SECRET_KEY_FALLBACKS verify refresh tokens too. The private key for access tokens is not used
    here. So someone who has the private key cannot forge refresh tokens. Replacing it does not invalidate them either.
    """

    def encode(self, payload: dict[str, Any]) -> str:
        """Return the signed token."""
        return jwt.encode(payload, _derived_key(settings.SECRET_KEY), algorithm=self.algorithm)

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Return the claims of a token.

        Raise `TokenBackendError` if the token has expired, or if no key verifies its signature.
        """
        for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
            backend = TokenBackend(self.algorithm, _derived_key(secret_key), leeway=self.leeway)
            with suppress(TokenBackendError):
                return backend.decode(token, verify)
        raise TokenBackendError("Token is invalid")


@functools.cache
def _derived_key(secret_key: str) -> bytes:
    return salted_hmac("users_api.tokens.RefreshToken", b"", secret=secret_key, algorithm="sha256").digest()


class AccessToken(tokens.AccessToken):
    """A JWT that identifies a user. It is valid for `ACCESS_TOKEN_LIFETIME`.

    If the token belongs to a session, its id (`jti`) starts with the session's key.
    """

    lifetime = settings.ACCESS_TOKEN_LIFETIME
    backend = AccessTokenBackend(ALGORITHM, leeway=CLOCK_SKEW)

    def get_token_backend(self) -> TokenBackend:
        """Return the backend that signs and verifies these tokens."""
        return self.backend

    @classmethod
    def for_user(cls, user: Any) -> Self:
        """Return a token for an account, without a session."""
        token = cls()
        token["username"] = user.username
        token["user_id"] = user.pk
        token["is_staff"] = user.is_staff
        return token

    @classmethod
    def for_session(cls, session: Session) -> Self:
        """Return a token for the account of a session.

        The token's id contains the session's key.
        """
        token = cls.for_user(session.user)
        token["jti"] = f"{session.key.hex}.{token['jti']}"
        return token


class RefreshToken(tokens.RefreshToken):
    """A JWT with the key of a session, and the number of this token in the session.

    The other claims come from the session's row. So the server can create the same token again, and does not need
    to store it.
    """

    lifetime = settings.SESSION_LIFETIME
    access_token_class = AccessToken
    # A pod whose clock is slow must accept tokens that another pod has just issued.
    backend = RefreshTokenBackend("HS256", leeway=CLOCK_SKEW)

    def get_token_backend(self) -> TokenBackend:
        """Return the backend that signs and verifies these tokens."""
        return self.backend

    @classmethod
    def for_session(cls, session: Session, rotation: int) -> Self:
        """Return the refresh token with this number."""
        token = cls()
        token.payload = {
            "token_type": cls.token_type,
            "sid": session.key.hex,
            "rotation": rotation,
            "jti": f"{session.key.hex}.{rotation}",
            "iat": int(session.began.timestamp()),
            "exp": int(session.ends.timestamp()),
        }
        return token

    def verify(self) -> None:
        """Raise `TokenError` if the token is invalid.

        A valid token contains a session key and a token number.
        """
        super().verify()
        try:
            UUID(self.payload["sid"])
            int(self.payload["rotation"])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise TokenError("Token does not contain a session") from None

    @property
    def key(self) -> UUID:
        """Return the key of the session."""
        return UUID(self.payload["sid"])

    @property
    def rotation(self) -> int:
        """Return the number of this token in its session, starting at 0."""
        return int(self.payload["rotation"])

    @property
    def access_token(self) -> AccessToken:
        """Return an access token with the account's current claims.

        Raise `TokenError` if the session no longer exists.
        """
        session = Session.objects.select_related("user").filter(key=self.key).first()
        if session is None:
            raise TokenError("The session no longer exists")
        return AccessToken.for_session(session)


def session_key(jti: str) -> UUID | None:
    """Return the session key in an access token's `jti`, or None if there is none."""
    try:
        return UUID(jti.partition(".")[0]) if "." in jti else None
    except ValueError:
        return None
