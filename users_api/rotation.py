"""Replace the signing key in three steps.

The steps are: publish a new key, sign with the new key, and remove the old key.

The functions receive and return a dict of file names and contents, as in the folder TOKENS_KEYS. The file
`rotation.json` contains the time of the last step.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings

from common.tokens.keys import MAX_IDLE
from common.tokens.verification import CLOCK_SKEW

SIGNING, NEXT, PREVIOUS, STATE = "signing.pem", "next.pem", "previous.pem", "rotation.json"
# The kubelet updates a mounted Secret within about two minutes: https://kubernetes.io/docs/concepts/configuration/secret/
PROPAGATION = timedelta(minutes=3)
PUBLISHED = PROPAGATION + timedelta(seconds=MAX_IDLE)
RETIRED = PROPAGATION + settings.ACCESS_TOKEN_LIFETIME + timedelta(seconds=CLOCK_SKEW)


@dataclass(frozen=True)
class Step:
    """The result of a step in a rotation.

    `files` contains the new files, or is None if no step was due. `message` says what happened. `wait` is the time
    until the next step, or None if no rotation is in progress.
    """

    files: dict[str, bytes] | None
    message: str
    wait: timedelta | None


def advance(
    files: dict[str, bytes], now: datetime, *, every: timedelta, published: timedelta, retired: timedelta
) -> Step:
    """Return the next step if it is due.

    A rotation begins when the signing key is `every` old. The new key is published for the time `published` before it
    is used to sign. From then on, the old key stays published for the time `retired`.
    """
    stage, since = _stage(files), _since(files)
    wait = {NEXT: published, PREVIOUS: retired, SIGNING: every}[stage]
    due = since + wait if since else now if stage == SIGNING and not every else None
    if due is None:
        # The age of the keys is unknown, because a Secret does not record it.
        return Step(_with_time(files, now), "noted the time: the age of the keys counts from now", _left(stage, wait))
    if now < due:
        return Step(None, f"nothing to do until {due:%Y-%m-%d %H:%M:%S} UTC", _left(stage, due - now))
    if NEXT in files:
        changed = {**files, PREVIOUS: _public(files[SIGNING]), SIGNING: files[NEXT]}
        del changed[NEXT]
        return Step(_with_time(changed, now), "the new key signs, and the old key is still published", retired)
    if PREVIOUS in files:
        changed = {name: content for name, content in files.items() if name != PREVIOUS}
        return Step(_with_time(changed, now), "the old key is removed, so the rotation is complete", None)
    return Step(_with_time({**files, NEXT: new_key()}, now), "a new key is made and published", published)


def replace(files: dict[str, bytes], now: datetime) -> dict[str, bytes]:
    """Return files whose only key is a new signing key.

    All tokens signed with other keys become invalid.
    """
    kept = {name: content for name, content in files.items() if not name.endswith(".pem")}
    return _with_time({**kept, SIGNING: new_key()}, now)


def new_key() -> bytes:
    """Generate an RSA private key of 2048 bits, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _stage(files: dict[str, bytes]) -> str:
    return NEXT if NEXT in files else PREVIOUS if PREVIOUS in files else SIGNING


def _left(stage: str, wait: timedelta) -> timedelta | None:
    return None if stage == SIGNING else wait


def _public(private: bytes) -> bytes:
    key = load_pem_private_key(private, None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _since(files: dict[str, bytes]) -> datetime | None:
    return datetime.fromisoformat(json.loads(files[STATE])["since"]) if STATE in files else None


def _with_time(files: dict[str, bytes], now: datetime) -> dict[str, bytes]:
    return {**files, STATE: json.dumps({"since": now.isoformat()}).encode()}
