"""Verify access tokens: JSON Web Tokens (RFC 7519) that users_api signs with RS256."""

import functools
import json
import time
from dataclasses import dataclass, field

import jwt
from django.conf import settings
from jwt.utils import base64url_decode

from common.tokens.keys import ALGORITHM, KeySet, UnknownKey

TOKEN_TYPE = "access"  # noqa: S105 - the claim `token_type` of djangorestframework-simplejwt
CLOCK_SKEW = 10  # seconds that the clock of users_api may be ahead of ours


class InvalidToken(Exception):
    """The token is not valid. The message says why."""


@dataclass(frozen=True, slots=True)
class TokenUser:
    """The user of a valid access token. `expires` is in whole seconds since 1970."""

    username: str
    user_id: int | None
    is_staff: bool
    expires: int
    jti: str = field(default="", compare=False)
    is_authenticated = True


def verify(token: str, keys: KeySet) -> TokenUser:
    """Return the user of an access token.

    Raise `InvalidToken`, or `KeysUnavailable` if no keys have been loaded yet. Only `kid` selects the key. Keys and
    URLs in the token's header (`jwk`, `jku`, `x5u`) are ignored (RFC 8725 section 3.10).
    """
    try:
        user = _user(token, keys.find(_key_id(token.partition(".")[0])), settings.TOKENS_ISSUER)
    except UnknownKey:
        raise InvalidToken("The token is signed with an unknown key.") from None
    except jwt.ExpiredSignatureError:
        raise InvalidToken("The token has expired.") from None
    except jwt.InvalidIssuerError:
        raise InvalidToken("The token is from another issuer.") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("The token is not valid.") from None
    # `_user` is cached, and its leeway is only for `iat` and `nbf` (RFC 7519 section 4.1.4).
    if user.expires <= time.time():
        raise InvalidToken("The token has expired.")
    return user


@functools.lru_cache(maxsize=1024)  # clients send the same token with every request; errors are not cached
def _user(token: str, key: jwt.PyJWK, issuer: str) -> TokenUser:
    """Return the user of a token signed with this key. The caller checks the expiry."""
    claims = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        issuer=issuer,
        leeway=CLOCK_SKEW,
        options={"require": ["exp", "iss", "token_type", "username"]},
    )
    if claims["token_type"] != TOKEN_TYPE:
        raise InvalidToken("The token is not an access token.")
    expires, username = claims["exp"], claims["username"]
    if not isinstance(expires, (int, float)):
        raise InvalidToken("The token has no valid expiry time.")
    if not isinstance(username, str) or not username:
        raise InvalidToken("The token has no username.")
    return TokenUser(
        username=username,
        user_id=claims.get("user_id"),
        is_staff=claims.get("is_staff") is True,
        expires=int(expires),
        jti=str(claims.get("jti", "")),
    )


@functools.lru_cache(maxsize=16)  # all tokens of a key have the same header
def _key_id(header_segment: str) -> str:
    """Return the `kid` of a header. `jwt.decode` checks the rest."""
    header = json.loads(base64url_decode(header_segment))
    # Before any key is used (RFC 8725 section 3.1).
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM or "crit" in header:
        raise InvalidToken("The token is not signed with RS256.")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidToken("The token does not name its key.")
    return kid


def from_header(value: str, keys: KeySet) -> TokenUser:
    """Return the user of an Authorization header: `Bearer <token>`.

    See RFC 6750 section 2.1. Raise the same errors as `verify`. The scheme is case-insensitive, and several spaces may
    follow it (RFC 9110 sections 11.1 and 11.4).
    """
    scheme, _, token = value.partition(" ")
    token = token.lstrip(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise InvalidToken("The Authorization header must be 'Bearer <token>'.")
    return verify(token, keys)
