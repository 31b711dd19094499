"""Verify access tokens with the public keys of users_api. Needs only Django and PyJWT.

Read `verification` first, then `keys`.
"""

from common.tokens.keys import KeySet, KeysUnavailable, UnknownKey, key_set
from common.tokens.verification import CLOCK_SKEW, InvalidToken, TokenUser, from_header, verify

__all__ = [
    "CLOCK_SKEW",
    "InvalidToken",
    "KeySet",
    "KeysUnavailable",
    "TokenUser",
    "UnknownKey",
    "from_header",
    "key_set",
    "verify",
]
