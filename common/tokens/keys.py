"""Load and cache the public keys that verify tokens: a JSON Web Key Set (RFC 7517)."""

import functools
import json
import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
MIN_BITS = 2048  # minimum size of an RSA key (RFC 7518 section 3.3)
MIN_INTERVAL = 10.0  # seconds between two loads, even if unknown key ids arrive
FIRST_INTERVAL = 1.0  # seconds between two loads until the first one succeeds
MAX_AGE = 300.0  # seconds after which the key set is loaded again
TIMEOUT = 2.0  # seconds to connect, and between two reads of the response


class KeysUnavailable(Exception):
    """No key set has been loaded yet, so no token can be verified: 503, not 401."""


class UnknownKey(Exception):
    """The key set has no key with this id."""


class KeySet:
    """Cached public RSA keys by key id (`kid`).

    `load` returns a JWK Set as a dict. `source` names its origin in the log.

    An unknown `kid` reloads the set, at most once in `MIN_INTERVAL` seconds (`FIRST_INTERVAL` before the first
    success). A set older than `MAX_AGE` seconds is reloaded in a background thread, so withdrawn keys disappear. An
    empty set withdraws all keys. If a load fails, the old keys stay in use and it is retried after `MIN_INTERVAL`.
    """

    def __init__(self, load: Callable[[], dict[str, Any]], source: str = "a function") -> None:
        self._load, self._source = load, source
        self._keys: dict[str, jwt.PyJWK] | None = None  # until the first load succeeds
        self._attempted = self._stale = -math.inf
        self._lock = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK:
        """Return the key with this id, or raise `UnknownKey` or `KeysUnavailable`."""
        key = (self._keys or {}).get(kid)
        if key is None:
            self._reload()
            if self._keys is None:
                raise KeysUnavailable
            key = self._keys.get(kid)
        elif time.monotonic() > self._stale and not self._lock.locked():
            threading.Thread(target=self._reload, daemon=True).start()
        if key is None:
            raise UnknownKey
        return key

    def _reload(self) -> None:
        # Threads that waited for the lock return here: the load that they waited for counts for them too.
        with self._lock:
            if time.monotonic() - self._attempted <= (FIRST_INTERVAL if self._keys is None else MIN_INTERVAL):
                return
            good_for = MIN_INTERVAL
            try:
                keys = _rsa_keys(self._load())
                if not keys and self._keys != {}:
                    logger.warning("the key set from %s has no usable key, so all tokens are refused", self._source)
                self._keys, good_for = keys, MAX_AGE
            except Exception as error:  # noqa: BLE001 - a broken source must not break requests
                logger.warning("the key set could not be loaded from %s (TOKENS_JWKS): %s", self._source, error)
            finally:
                self._attempted = time.monotonic()
                self._stale = self._attempted + good_for


def _rsa_keys(jwks: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    if not isinstance(jwks["keys"], list):
        raise TypeError("`keys` is not a list")
    keys = {}
    for jwk in jwks["keys"]:
        # RFC 7517 section 5: ignore keys of another type or use, and incomplete keys.
        try:
            if (
                jwk["kty"] == "RSA"
                and jwk.get("use", "sig") == "sig"
                and jwk.get("alg", ALGORITHM) == ALGORITHM
                and isinstance(jwk["kid"], str)
                and (key := _key(json.dumps(jwk, sort_keys=True)))
            ):
                keys[jwk["kid"]] = key
        except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError) as error:
            logger.warning("the key set contains an invalid key: %s", type(error).__name__)
    return keys


@functools.lru_cache(maxsize=16)  # a reloaded key stays the same object, so its verified tokens stay cached
def _key(jwk: str) -> jwt.PyJWK | None:
    """Return the key, or None if it is not an RSA key or is too short."""
    key = jwt.PyJWK.from_json(jwk)
    if not isinstance(key.key, RSAPublicKey):
        return None
    if key.key.key_size < MIN_BITS:
        logger.warning("the RSA key %r has fewer than %s bits, so it is not used", key.key_id, MIN_BITS)
        return None
    return key


@functools.cache
def key_set() -> KeySet:
    """Return the key set of this process.

    The setting TOKENS_JWKS is a URL, the path of a JSON file, or a function.
    """
    source = settings.TOKENS_JWKS
    if callable(source):
        return KeySet(source)
    if source.startswith(("http://", "https://")):
        client = jwt.PyJWKClient(source, cache_jwk_set=False, timeout=TIMEOUT)
        return KeySet(client.fetch_data, source)
    return KeySet(lambda: json.loads(Path(source).read_bytes()), source)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "TOKENS_JWKS":
        key_set.cache_clear()
