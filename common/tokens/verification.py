"""Verify the JSON Web Tokens (RFC 7519) that users_api signs with RS256.

`from_header` verifies the access token of a request. It calls `verify`, which finds the key and checks the token.
"""

import functools
import json
import time
from dataclasses import dataclass, field

import jwt
from django.conf import settings
from jwt.utils import base64url_decode

from common.tokens.keys import ALGORITHM, KeySet, UnknownKey

TOKEN_TYPE = "access"  # noqa: S105 - the claim `token_type` of djangorestframework-simplejwt
CLOCK_SKEW = 10  # seconds by which the clock of users_api may be ahead of ours


class InvalidToken(Exception):
    """The token is not valid. The message says why."""


@dataclass(frozen=True, slots=True)
class TokenUser:
    """The user that a valid access token identifies.

    `expires` is the time when the token expires, in seconds since 1970. `jti` is the id of the token.
    """

    username: str
    user_id: int | None
    is_staff: bool
    expires: int
    jti: str = field(default="", compare=False)
    is_authenticated = True


def verify(token: str, keys: KeySet) -> TokenUser:
    """Verify an access token and return its user.

    Raise `InvalidToken` if the token is not valid. Raise `KeysUnavailable` if no keys have been loaded yet.

    The token's header names the key by its `kid`. The header may also contain a key (`jwk`) or the URL of a key (`jku`,
    `x5u`). Both are ignored, because an attacker could have put them there (RFC 8725 section 3.10).
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
    # `_user` does not check the expiry exactly, because its result is cached, and because it accepts a token for
    # CLOCK_SKEW seconds after the expiry.
    if user.expires <= time.time():
        raise InvalidToken("The token has expired.")
    return user


@functools.lru_cache(maxsize=1024)  # a client sends the same token with many requests; exceptions are not cached
def _user(token: str, key: jwt.PyJWK, issuer: str) -> TokenUser:
    """Check the signature and the claims of a token, and return its user."""
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


@functools.lru_cache(maxsize=16)  # all tokens signed with the same key have the same header
def _key_id(header_segment: str) -> str:
    """Return the key id (`kid`) from a token's first segment, the encoded header."""
    header = json.loads(base64url_decode(header_segment))
    # Check the algorithm before any key is used (RFC 8725 section 3.1).
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM or "crit" in header:
        raise InvalidToken("The token is not signed with RS256.")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidToken("The token does not name its key.")
    return kid


def from_header(value: str, keys: KeySet) -> TokenUser:
    """Verify the token in an Authorization header, and return the token's user.

    Raise the same exceptions as `verify`. See RFC 6750 section 2.1 for the format `Bearer <token>`. The word "Bearer"
    is case-insensitive, and several spaces may follow it (RFC 9110 sections 11.1 and 11.4).
    """
    scheme, _, token = value.partition(" ")
    token = token.lstrip(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise InvalidToken("The Authorization header must be 'Bearer <token>'.")
    if token.lower().startswith("bearer "):  # Swagger UI adds the word even if the value has it
        raise InvalidToken("The Authorization header has the word Bearer twice. Remove one of them.")
    return verify(token, keys)
