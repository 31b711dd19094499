"""Access tokens: JSON Web Tokens (RFC 7519) signed with RS256. Signing is in users_api alone."""

import functools
import json
import time
from dataclasses import dataclass, field

import jwt
from django.conf import settings
from jwt.utils import base64url_decode

from common.tokens.keys import ALGORITHM, KeySet, UnknownKey

TOKEN_TYPE = "access"  # noqa: S105 - the claim `token_type` of djangorestframework-simplejwt
CLOCK_SKEW = 10  # seconds by which another machine's clock may be ahead


class InvalidToken(Exception):
    """The token is not one that users_api signed for now; the text says why."""


@dataclass(frozen=True, slots=True)
class TokenUser:
    """The person that a valid access token speaks for; `expires` is in whole seconds since 1970."""

    username: str
    user_id: int | None
    is_staff: bool
    expires: int
    jti: str = field(default="", compare=False)
    is_authenticated = True


def verify(token: str, keys: KeySet) -> TokenUser:
    """Return whom an access token speaks for.

    Raises `InvalidToken`, or `common.tokens.keys.KeysUnavailable` when no key is known yet. The key is found
    by `kid` alone; what else the header offers (`jwk`, `jku`, `x5u`) is never used (RFC 8725 section 3.10).
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
    # Each time, and without the leeway for `iat` and `nbf`: what has ended has ended (RFC 7519 section 4.1.4).
    if user.expires <= time.time():
        raise InvalidToken("The token has expired.")
    return user


@functools.lru_cache(maxsize=1024)  # people send the same token with each request; what is refused is not kept
def _user(token: str, key: jwt.PyJWK, issuer: str) -> TokenUser:
    """Return whom a token that this key has signed speaks for; when it ends is for the caller to look at."""
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
        raise InvalidToken("The token does not say when it ends.")
    if not isinstance(username, str) or not username:
        raise InvalidToken("The token names nobody.")
    return TokenUser(
        username=username,
        user_id=claims.get("user_id"),
        is_staff=claims.get("is_staff") is True,
        expires=int(expires),
        jti=str(claims.get("jti", "")),
    )


@functools.lru_cache(maxsize=16)  # all tokens that a key has signed begin with the same header
def _key_id(header_segment: str) -> str:
    """Return the `kid` of a header; what else is wrong with it, `jwt.decode` finds, which reads all of the token."""
    header = json.loads(base64url_decode(header_segment))
    # Only the one algorithm, before any key is touched (RFC 8725 section 3.1).
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM or "crit" in header:
        raise InvalidToken("The token is not signed with RS256.")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidToken("The token does not name its key.")
    return kid


def from_header(value: str, keys: KeySet) -> TokenUser:
    """Return whom the value of an Authorization header speaks for: `Bearer <token>` (RFC 6750 section 2.1).

    Raises what `verify` raises; the scheme's name is taken in any case, with any number of spaces after it
    (RFC 9110 sections 11.1 and 11.4).
    """
    scheme, _, token = value.partition(" ")
    token = token.lstrip(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise InvalidToken("The Authorization header must be 'Bearer <token>'.")
    return verify(token, keys)
