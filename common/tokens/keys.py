"""Load and cache the public keys that verify tokens.

users_api publishes them as a JSON Web Key Set, or JWK Set (RFC 7517). Each key has an id, its `kid`.
"""

import functools
import json
import logging
import math
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from common import events
from common.events import Event

logger = logging.getLogger(__name__)

ALGORITHM = "RS256"
MIN_BITS = 2048  # minimum size of an RSA key (RFC 7518 section 3.3)
MIN_INTERVAL = 10.0  # minimum seconds between two attempts to load the key set
FIRST_INTERVAL = 1.0  # minimum seconds between two attempts before the first success
MAX_AGE = 30.0  # seconds after which the key set is loaded again
MAX_IDLE = 45.0  # seconds since the last attempt to load, after which a caller waits for a load
TIMEOUT = 2.0  # seconds to wait for the connection, and for each part of the response


class KeysUnavailable(Exception):
    """No key set has been loaded yet.

    The API responds with 503, not 401, because the token may be valid.
    """


class UnknownKey(Exception):
    """The key set has no key with this id."""


class KeySet:
    """Cache of public RSA keys.

    `load` is a function that returns a JWK Set as a dict. In log messages, `source` names the origin of the set.

    `find` loads the set when the first key is needed. Later, it loads the set again in three cases:

    - A `kid` is unknown. The caller waits for the load. To protect users_api, the set is loaded at most once every
      `MIN_INTERVAL` seconds.
    - The set is older than `MAX_AGE` seconds. A background thread loads it, and the caller gets the old key.
    - The last attempt to load the set was more than `MAX_IDLE` seconds ago. The caller waits for the load. So after an
      idle period, a process does not accept a key that users_api no longer publishes.

    A loaded set replaces the old one. From then on, a key that users_api no longer publishes is refused. If a load
    fails, the old keys stay in use.
    """

    def __init__(self, load: Callable[[], dict[str, Any]], source: str = "a function") -> None:
        self._load, self._source = load, source
        self._keys: dict[str, jwt.PyJWK] | None = None  # None until the first load succeeds
        self._last_attempt = -math.inf  # the value of `time.monotonic()` at the last attempt to load the set
        self._stale_from = -math.inf  # the value of `time.monotonic()` after which the set must be loaded again
        self._lock = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK:
        """Return the key with this id, or raise `UnknownKey` or `KeysUnavailable`."""
        key = (self._keys or {}).get(kid)
        if key is None or time.monotonic() - self._last_attempt > MAX_IDLE:
            self._reload()
            if self._keys is None:
                raise KeysUnavailable
            key = self._keys.get(kid)
        elif time.monotonic() > self._stale_from and not self._lock.locked():
            # The thread gets a copy of the context, so that its log lines contain the request id.
            threading.Thread(target=functools.partial(copy_context().run, self._reload), daemon=True).start()
        if key is None:
            raise UnknownKey
        return key

    def _reload(self) -> None:
        with self._lock:
            # If another thread has loaded the set while this one waited for the lock, do not load it again.
            interval = FIRST_INTERVAL if self._keys is None else MIN_INTERVAL
            if time.monotonic() - self._last_attempt <= interval:
                return
            good_for = MIN_INTERVAL  # seconds until the next attempt, if this one fails
            try:
                keys = _rsa_keys(self._load())
                if not keys and self._keys != {}:
                    logger.warning("the key set from %s has no usable key, so all tokens are refused", self._source)
                if self._keys and keys.keys() != self._keys.keys():
                    events.record(Event.KEYS_REPLACED)
                self._keys, good_for = keys, MAX_AGE
            except Exception as error:  # noqa: BLE001 - a broken source must not break requests
                logger.warning("the key set could not be loaded from %s (TOKENS_JWKS): %s", self._source, error)
            finally:
                self._last_attempt = time.monotonic()
                self._stale_from = self._last_attempt + good_for


def _rsa_keys(jwks: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    if not isinstance(jwks["keys"], list):
        raise TypeError("`keys` is not a list")
    keys = {}
    for jwk in jwks["keys"]:
        # Ignore keys of another type, keys for another use, and incomplete keys (RFC 7517 section 5).
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


# `verification` caches each verified token together with its key object. So a key that has not changed must stay the
# same object when the set is loaded again.
@functools.lru_cache(maxsize=16)
def _key(jwk: str) -> jwt.PyJWK | None:
    """Return the key of a JWK in JSON, or None if the key is too short or not RSA."""
    key = jwt.PyJWK.from_json(jwk)
    if not isinstance(key.key, RSAPublicKey):
        return None
    if key.key.key_size < MIN_BITS:
        logger.warning("the RSA key %r has fewer than %s bits, so it is not used", key.key_id, MIN_BITS)
        return None
    return key


@functools.cache
def key_set() -> KeySet:
    """Return the key set that all threads of this process share.

    The setting TOKENS_JWKS is a URL, the path of a JSON file, or a function that returns the JWK Set.
    """
    source = settings.TOKENS_JWKS
    if callable(source):
        return KeySet(source)
    if source.startswith(("http://", "https://")):
        client = jwt.PyJWKClient(source, cache_jwk_set=False, timeout=TIMEOUT)
        return KeySet(client.fetch_data, source)
    return KeySet(lambda: json.loads(Path(source).read_bytes()), source)


@receiver(setting_changed)
def _clear_cache(*, setting: str, **kwargs: object) -> None:
    if setting == "TOKENS_JWKS":
        key_set.cache_clear()
