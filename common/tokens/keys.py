"""The public keys that verify tokens: a JSON Web Key Set (RFC 7517), loaded once and kept."""

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
MIN_BITS = 2048  # of an RSA key: RFC 7518 section 3.3
MIN_INTERVAL = 10.0  # seconds between two loads, whatever key ids arrive
FIRST_INTERVAL = 1.0  # seconds between two loads while there is no key yet
MAX_AGE = 300.0  # seconds after which a key set that is in use is loaded again
TIMEOUT = 2.0  # seconds that a load over HTTP may wait for a connection, and for each piece of the answer


class KeysUnavailable(Exception):
    """No key could be loaded yet, so no token can be judged: 503, not 401."""


class UnknownKey(Exception):
    """The key set has no key with this id."""


class KeySet:
    """Public RSA keys, each a `jwt.PyJWK`, by key id (`kid`), from a `load` function that returns a JWK Set as a dict.

    The log calls the place they come from `source`. An unknown id loads the set again, at most once in
    `MIN_INTERVAL` seconds (`FIRST_INTERVAL` until there is a key); a set older than `MAX_AGE` seconds is loaded
    again beside the requests, so that a withdrawn key ends too. An empty set means that all keys are withdrawn.
    When loading fails, or gives what is no key set, the keys that are there stay in use, and it is tried again after
    `MIN_INTERVAL`.
    """

    def __init__(self, load: Callable[[], dict[str, Any]], source: str = "a function") -> None:
        self._load, self._source = load, source
        self._keys: dict[str, jwt.PyJWK] | None = None  # before the first load that succeeds
        self._attempted = self._stale = -math.inf
        self._lock = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK:
        """Return the key with this id; raise `UnknownKey`, or `KeysUnavailable` when no set has been loaded yet."""
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
        # Whoever waited here for another thread's load finds it done: one load serves all.
        with self._lock:
            if time.monotonic() - self._attempted <= (FIRST_INTERVAL if self._keys is None else MIN_INTERVAL):
                return
            good_for = MIN_INTERVAL
            try:
                keys = _rsa_keys(self._load())
                if not keys and self._keys != {}:
                    logger.warning("the key set from %s has no usable key, so all tokens are refused", self._source)
                self._keys, good_for = keys, MAX_AGE
            except Exception as error:  # noqa: BLE001 - whatever a source says, the requests go on
                logger.warning("the key set could not be loaded from %s (TOKENS_JWKS): %s", self._source, error)
            finally:
                self._attempted = time.monotonic()
                self._stale = self._attempted + good_for


def _rsa_keys(jwks: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    if not isinstance(jwks["keys"], list):
        raise TypeError("`keys` is not a list")
    keys = {}
    for jwk in jwks["keys"]:
        # RFC 7517 section 5: a key of another type or use, or without what it needs, is not an error.
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
            logger.warning("the key set has a key that is not one: %s", type(error).__name__)
    return keys


@functools.lru_cache(maxsize=16)  # a key that is loaded again stays the same object, by which its tokens are known
def _key(jwk: str) -> jwt.PyJWK | None:
    """Return the key, or None if it is not an RSA key that is long enough."""
    key = jwt.PyJWK.from_json(jwk)
    if not isinstance(key.key, RSAPublicKey):
        return None
    if key.key.key_size < MIN_BITS:
        logger.warning("the RSA key %r has fewer than %s bits, so it is not used", key.key_id, MIN_BITS)
        return None
    return key


@functools.cache
def key_set() -> KeySet:
    """Return this process's key set, from the setting TOKENS_JWKS: a URL, a JSON file, or a function."""
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
