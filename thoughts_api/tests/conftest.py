"""People with tokens, as users_api would sign them."""

import functools
import time
from collections.abc import Callable
from typing import Any

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connection
from jwt.algorithms import RSAAlgorithm
from pytest_django import Settings
from rest_framework.test import APIClient

# How long one example takes says nothing on a machine that is busy with other tests.
hypothesis.settings.register_profile(
    "tests", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# Its tests are about what SQLite does not have.
collect_ignore = (
    [] if connection.vendor == "postgresql" else ["test_connections.py", "test_search_index.py", "test_threads.py"]
)

Sign = Callable[..., str]


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwks() -> dict[str, Any]:
    members = RSAAlgorithm.to_jwk(signing_key().public_key(), as_dict=True)
    return {"keys": [{**members, "kid": "ours", "use": "sig"}]}


@pytest.fixture(autouse=True)
def key_set(settings: Settings) -> None:
    """Make ours the key that verifies tokens."""
    settings.TOKENS_JWKS = jwks


@pytest.fixture
def sign() -> Sign:
    """A function that returns a token with any claims; those that it is not given are right."""

    def sign(**claims: Any) -> str:
        now = int(time.time())
        right = {"username": "bruce", "user_id": 1, "is_staff": False, "iat": now, "exp": now + 900, "jti": "0"}
        return jwt.encode(
            right | {"iss": "users-api", "token_type": "access"} | claims,
            signing_key(),
            algorithm="RS256",
            headers={"kid": "ours"},
        )

    return sign


def client(token: str | None = None) -> APIClient:
    """Return a client that shows a fault of ours as the 500 that a person would get."""
    client = APIClient(raise_request_exception=False)
    if token:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def anyone() -> APIClient:
    """A client without a token."""
    return client()


@pytest.fixture
def bruce(sign: Sign) -> APIClient:
    """A client with bruce's token."""
    return client(sign(username="bruce"))


@pytest.fixture
def stephen(sign: Sign) -> APIClient:
    """A client with stephen's token."""
    return client(sign(username="stephen", user_id=2))


@pytest.fixture
def staff(sign: Sign) -> APIClient:
    """A client with the token of someone on the staff."""
    return client(sign(username="admin", user_id=3, is_staff=True))
