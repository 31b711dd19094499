from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import connection
from django.test import Client, override_settings
from pytest_django import Settings

from users_api.models import User
from users_api.tokens import AccessToken

# Set no deadline for examples, because their duration varies on a busy machine.
hypothesis.settings.register_profile(
    "tests", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

PASSWORD = "correct horse battery"


def write_key(path: Path) -> rsa.RSAPrivateKey:
    """Create a signing key as `make run` does, and return it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Store a SQLite database in a file.

    In memory, all threads would share one connection.
    """
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "users.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Create a folder with a signing key for all tests."""
    folder = tmp_path_factory.mktemp("keys")
    write_key(folder / "signing.pem")
    with override_settings(TOKENS_KEYS=folder):
        yield folder


@pytest.fixture
def argon2id() -> None:
    """Hash passwords with Argon2id, which is slow, instead of with `cheap_hasher`."""


@pytest.fixture(autouse=True)
def cheap_hasher(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Hash passwords with MD5, unless a test uses `argon2id`."""
    if "argon2id" not in request.fixturenames:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def api() -> Client:
    """Return a client that turns an exception into a 500 response."""
    return Client(raise_request_exception=False)


@pytest.fixture
def bruce(db: None) -> User:
    """Create the account bruce with the password PASSWORD."""
    return User.objects.create_user("bruce", PASSWORD)


@pytest.fixture
def admin(db: None) -> User:
    """Create a superuser with the password PASSWORD."""
    return User.objects.create_superuser("admin", PASSWORD)


@pytest.fixture
def bearer() -> Callable[[User], dict[str, str]]:
    """Return a function that makes an Authorization header for an account."""
    return lambda user: {"Authorization": f"Bearer {AccessToken.for_user(user)}"}


@pytest.fixture
def log_in(api: Client) -> Callable[..., Any]:
    """Return a function that logs in to the API, by default as bruce."""

    def log_in(username: str = "bruce", password: str = PASSWORD, address: str = "192.0.2.1", **headers: str) -> Any:
        body = {"username": username, "password": password}
        return api.post(
            "/api/login/", body, content_type="application/json", REMOTE_ADDR=address, headers=headers or None
        )

    return log_in
