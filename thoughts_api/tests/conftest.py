"""Fixtures: API clients that send access tokens like those that users_api issues."""

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

# Set no deadline for examples, because their duration varies on a busy machine.
hypothesis.settings.register_profile(
    "tests", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# These files need PostgreSQL, so pytest does not collect them on SQLite.
ONLY_POSTGRESQL = ["test_connections.py", "test_fold_trigger.py", "test_search_index.py", "test_threads.py"]
collect_ignore = [] if connection.vendor == "postgresql" else ONLY_POSTGRESQL

Sign = Callable[..., str]


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwks() -> dict[str, Any]:
    members = RSAAlgorithm.to_jwk(signing_key().public_key(), as_dict=True)
    return {"keys": [{**members, "kid": "ours", "use": "sig"}]}


@pytest.fixture(autouse=True)
def key_set(settings: Settings) -> None:
    """Make the API verify tokens with the test key."""
    settings.TOKENS_JWKS = jwks


@pytest.fixture
def sign() -> Sign:
    """Return a function that makes and signs an access token.

    The arguments of the function are claims. A claim that is not given gets a valid value.
    """

    def sign(**claims: Any) -> str:
        now = int(time.time())
        valid = {"username": "bruce", "user_id": 1, "is_staff": False, "iat": now, "exp": now + 900, "jti": "0"}
        return jwt.encode(
            valid | {"iss": "users-api", "token_type": "access"} | claims,
            signing_key(),
            algorithm="RS256",
            headers={"kid": "ours"},
        )

    return sign


def client(token: str | None = None) -> APIClient:
    """Return a test client.

    If a view raises, the client returns a 500 response, as a server would.
    """
    client = APIClient(raise_request_exception=False)
    if token:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def anonymous() -> APIClient:
    """Return a client without a token."""
    return client()


@pytest.fixture
def bruce(sign: Sign) -> APIClient:
    """Return a client with bruce's token."""
    return client(sign(username="bruce"))


@pytest.fixture
def stephen(sign: Sign) -> APIClient:
    """Return a client with stephen's token."""
    return client(sign(username="stephen", user_id=2))


@pytest.fixture
def staff(sign: Sign) -> APIClient:
    """Return a client with the token of a staff user."""
    return client(sign(username="admin", user_id=3, is_staff=True))
