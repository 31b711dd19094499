"""Verify the access tokens that users_api issues, with users_api's public keys.

Read `verification.py` first, then `keys.py`. Both need only Django, PyJWT, cryptography and prometheus-client.
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
