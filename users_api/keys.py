"""Load the keys that sign access tokens, and the public keys that verify them.

The keys are PEM files in the folder TOKENS_KEYS. `signing.pem` is the RSA private key that signs tokens. users_api
publishes the public key that belongs to it, and also the public keys from all other `*.pem` files.

`manage.py rotate_keys` replaces the signing key. It first publishes the new key as `next.pem`. After the new key has
begun to sign, the old key stays published as `previous.pem`. So verifiers accept tokens signed with either key, and no
user is logged out.
"""

import base64
import hashlib
import json
import logging
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from jwt.algorithms import RSAAlgorithm
from prometheus_client import Gauge

from common.registry import REGISTRY
from common.tokens.keys import MIN_BITS

CHECK_INTERVAL = 1.0  # seconds between two checks of the files

logger = logging.getLogger(__name__)
KEY_TIME = Gauge(
    "signing_key_timestamp_seconds",
    "Time of the last change of signing.pem, in seconds since 1970.",
    registry=REGISTRY,
    multiprocess_mode="livemin",
)


@dataclass(frozen=True)
class KeyRing:
    """The signing key, its id, and the JWK Set (RFC 7517) of all published keys."""

    signing: RSAPrivateKey
    kid: str
    jwks: dict[str, Any]


def key_ring() -> KeyRing:
    """Load the keys on the first call, and return them.

    Check the files at most once every `CHECK_INTERVAL` seconds. If they have changed, load them again. If the changed
    files are invalid, keep using the previous keys. On the first call, raise `SystemExit` with a one-line message if
    `signing.pem` is missing, or if a file is not a usable key.
    """
    return _cache.get(settings.TOKENS_KEYS)


class _Cache:
    """The loaded keys, and the modification time and size of each key file."""

    def __init__(self) -> None:
        self._ring: KeyRing | None = None
        self._files: dict[str, tuple[int, int]] = {}
        self._checked = -math.inf
        self._lock = threading.Lock()

    def get(self, folder: Path) -> KeyRing:
        with self._lock:
            now = time.monotonic()
            if self._ring is None or now - self._checked > CHECK_INTERVAL:
                self._checked = now
                try:
                    files = _state(folder)
                except OSError:  # a file was deleted meanwhile
                    files = self._files
                if self._ring is None or files != self._files:
                    self._load(folder, files)
            assert self._ring  # noqa: S101 - else `_load` has raised
            return self._ring

    def _load(self, folder: Path, files: dict[str, tuple[int, int]]) -> None:
        try:
            ring = _load(folder)
        except SystemExit as error:
            if self._ring is None:
                raise
            logger.error("the changed keys are not used: %s", error)
        else:
            if self._ring:
                logger.info("loaded changed keys; %s signs", ring.kid)
            self._ring = ring
        self._files = files

    def clear(self) -> None:
        """Forget the keys, for tests."""
        self._ring = None


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the modification time and size of each key file, to detect changes."""
    states = {path.name: path.stat() for path in sorted(folder.glob("*.pem"))}
    return {name: (state.st_mtime_ns, state.st_size) for name, state in states.items()}


def _load(folder: Path) -> KeyRing:
    try:
        keys = {path: _read(path) for path in sorted({folder / "signing.pem", *folder.glob("*.pem")})}
        signing = keys[folder / "signing.pem"]
        if not isinstance(signing, RSAPrivateKey):
            raise ValueError(f"{folder / 'signing.pem'} is not a private key")
        public = {thumbprint(key): key for key in map(_public, keys.values())}
    except (OSError, ValueError) as error:
        raise SystemExit(f"Invalid environment. TOKENS_KEYS: {error}") from None
    KEY_TIME.set((folder / "signing.pem").stat().st_mtime)
    return KeyRing(
        signing=signing,
        kid=thumbprint(signing.public_key()),
        jwks={"keys": [_jwk(kid, key) for kid, key in public.items()]},
    )


_cache = _Cache()


def jwks() -> dict[str, Any]:
    """Return the JWK Set of the published keys."""
    return key_ring().jwks


def thumbprint(key: RSAPublicKey) -> str:
    """Return the key's id, which is its SHA-256 JWK thumbprint (RFC 7638)."""
    members = RSAAlgorithm.to_jwk(key, as_dict=True)
    canonical = json.dumps({name: members[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def _jwk(kid: str, key: RSAPublicKey) -> dict[str, Any]:
    members = RSAAlgorithm.to_jwk(key, as_dict=True)
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": members["n"], "e": members["e"]}


def _public(key: RSAPrivateKey | RSAPublicKey) -> RSAPublicKey:
    return key.public_key() if isinstance(key, RSAPrivateKey) else key


def _read(path: Path) -> RSAPrivateKey | RSAPublicKey:
    pem = path.read_bytes()
    try:
        key = load_pem_private_key(pem, None) if b"PRIVATE KEY" in pem else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # cryptography's messages do not name the file
        raise ValueError(f"{path} is not a PEM file with an unencrypted key") from None
    if not isinstance(key, (RSAPrivateKey, RSAPublicKey)) or key.key_size < MIN_BITS:
        raise ValueError(f"{path} is not an RSA key of {MIN_BITS} bits or more")
    return key


@receiver(setting_changed)
def _clear_cache(*, setting: str, **kwargs: object) -> None:
    if setting == "TOKENS_KEYS":
        _cache.clear()
