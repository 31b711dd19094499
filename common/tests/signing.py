"""Create keys, valid tokens and invalid tokens for tests."""

import base64
import functools
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


def private_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key with this name.

    Keys are cached, because generating one is slow.
    """
    return _generate(name, bits)


@functools.cache
def _generate(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(kid: str = "ours", bits: int = 2048) -> dict[str, Any]:
    """Return the public key with this name as a JWK. The name is also its `kid`."""
    members = RSAAlgorithm.to_jwk(private_key(kid, bits).public_key(), as_dict=True)
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": members["n"], "e": members["e"]}


def jwks(*kids: str) -> dict[str, Any]:
    """Return a JWK Set of the named keys."""
    return {"keys": [jwk(kid) for kid in kids]}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid access token with these changes.

    The value None removes a claim.
    """
    now = int(time.time())
    valid = {
        "username": "bruce",
        "user_id": 1,
        "is_staff": False,
        "iat": now,
        "exp": now + 900,
        "jti": "0123",
        "iss": "users-api",
        "token_type": "access",
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def token(
    payload: dict[str, Any] | None = None, *, key: str = "ours", headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Return a token signed with RS256.

    Its header contains `headers`, or by default `key` as the `kid`.
    """
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key} if headers is None else headers)
    return signed(as_json(header), as_json(claims(**changes) if payload is None else payload), key)


def signed(header: bytes, payload: bytes, key: str = "ours") -> str:
    """Return a token with arbitrary parts and a valid RS256 signature."""
    message = base64url(header) + b"." + base64url(payload)
    algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    return (message + b"." + base64url(algorithm.sign(message, private_key(key)))).decode()


def base64url(content: bytes) -> bytes:
    """Return the bytes encoded in base64url, without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def as_json(value: Any) -> bytes:
    """Return the value as JSON bytes."""
    return json.dumps(value).encode()
