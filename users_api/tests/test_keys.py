"""Test how the signing key is loaded, and which public keys are published."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.test import Client
from pytest_django import Settings

from common.tokens.keys import key_set
from users_api import keys
from users_api.keys import jwks, key_ring, thumbprint
from users_api.models import User
from users_api.tests.conftest import write_key
from users_api.tokens import AccessToken


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    """Create an empty key folder for one test, and use it to sign and verify."""
    settings.TOKENS_KEYS = tmp_path
    key_set.cache_clear()
    yield tmp_path
    key_set.cache_clear()


def published() -> list[str]:
    return [key["kid"] for key in jwks()["keys"]]


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/.well-known/jwks.json/"])
def test_published_key_verifies_tokens_and_has_no_private_part(api: Client, bruce: Any, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert "max-age=10" in response["Cache-Control"]
    (key,) = response.json()["keys"]
    # No private members: d, p, q, dp, dq, qi (RFC 7518 section 6.3.2).
    assert sorted(key) == ["alg", "e", "kid", "kty", "n", "use"]
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    claims = jwt.decode(str(AccessToken.for_user(bruce)), jwt.PyJWK(key), algorithms=["RS256"])
    assert claims["username"] == "bruce"


def test_key_id_is_the_rfc_7638_thumbprint() -> None:
    # This is the example in section 3.1 of the RFC.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI"
        "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = jwt.PyJWK({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256"}).key
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_all_keys_are_published_and_one_signs(folder: Path, bruce: User) -> None:
    signing = write_key(folder / "signing.pem")
    upcoming = write_key(folder / "next.pem")
    previous = write_key(folder / "previous.pem").public_key()
    # The file of the previous key needs only the public half.
    (folder / "previous.pem").write_bytes(previous.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    expected = {thumbprint(key) for key in (signing.public_key(), upcoming.public_key(), previous)}
    assert set(published()) == expected
    assert jwt.get_unverified_header(str(AccessToken.for_user(bruce)))["kid"] == thumbprint(signing.public_key())


def test_key_in_two_files_is_published_once(folder: Path) -> None:
    write_key(folder / "signing.pem")
    (folder / "copy.pem").write_bytes((folder / "signing.pem").read_bytes())
    assert len(published()) == 1


def test_other_files_in_the_folder_are_ignored(folder: Path) -> None:
    write_key(folder / "signing.pem")
    (folder / "users_api.secret").write_text("a secret")
    assert len(published()) == 1


def _private(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: None, "No such file"),
        (lambda: b"", "signing.pem"),
        (lambda: b"rubbish", "signing.pem"),
        (lambda: _private(rsa.generate_private_key(65537, 1024)), "2048 bits or more"),  # noqa: S505
        (lambda: _private(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        (
            lambda: (
                rsa.generate_private_key(65537, 2048)
                .public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            ),
            "is not a private key",
        ),
    ],
)
def test_missing_or_invalid_signing_key_aborts_startup_with_a_one_line_message(
    folder: Path, make: Callable[[], bytes | None], why: str
) -> None:
    if (content := make()) is not None:
        (folder / "signing.pem").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        key_ring()
    message = str(ended.value)
    assert message.startswith("Invalid environment. TOKENS_KEYS: ")
    assert why in message
    assert "\n" not in message


def test_invalid_additional_key_aborts_startup(folder: Path) -> None:
    write_key(folder / "signing.pem")
    (folder / "next.pem").write_text("rubbish")
    with pytest.raises(SystemExit, match="TOKENS_KEYS"):
        key_ring()


def test_token_signed_with_the_previous_key_still_verifies(
    folder: Path,
    api: Client,
    admin: User,
    bearer: Callable[[User], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_key(folder / "signing.pem")
    header = bearer(admin)
    (folder / "signing.pem").rename(folder / "previous.pem")
    write_key(folder / "signing.pem")
    monkeypatch.setattr(keys, "CHECK_INTERVAL", 0)
    key_set.cache_clear()
    body = {"username": f"grace{int(time.time())}", "password": "correct horse battery"}
    assert api.post("/admin/users/", body, headers=header).status_code == 201


def test_changed_keys_are_loaded_without_a_restart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "CHECK_INTERVAL", 0)
    write_key(folder / "signing.pem")
    first = key_ring()
    assert key_ring() is first  # the files have not changed
    write_key(folder / "next.pem")
    assert len(published()) == 2
    (folder / "next.pem").replace(folder / "signing.pem")
    assert key_ring().kid != first.kid
    assert published() == [key_ring().kid]


def test_invalid_changed_keys_are_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "CHECK_INTERVAL", 0)
    write_key(folder / "signing.pem")
    first = key_ring()
    (folder / "signing.pem").write_text("rubbish")
    assert [key_ring(), key_ring()] == [first, first]
    assert [record.message for record in caplog.records] == [
        f"the changed keys are not used: Invalid environment. TOKENS_KEYS: {folder / 'signing.pem'} is not a PEM file "
        "with an unencrypted key"
    ]
