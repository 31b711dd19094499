"""HTTP calls to the APIs: pooled connections, timeouts, retries and errors."""

import functools
import json
import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from common.http import request_id
from web.backends.exceptions import (
    BackendError,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unanswered,
    Unavailable,
)

logger = logging.getLogger(__name__)

POOL_SIZE = 32  # connections kept to each API; no fewer than gunicorn's threads
SESSION_AGE = 120  # seconds
MAX_SIZE = 5_000_000  # bytes of an answer
MAX_WAIT = 24 * 3600  # seconds; the maximum of Retry-After
DEFAULT_WAIT = 60  # seconds, without a valid Retry-After


_deadline: ContextVar[float] = ContextVar("deadline")  # of the current call


@dataclass(frozen=True)
class Answer:
    """An answer of an API. `body` is the parsed JSON, or None if it is not JSON."""

    status: int
    body: Any
    headers: "requests.structures.CaseInsensitiveDict[str]"
    links: dict[str, dict[str, str]]


class Retry(urllib3.Retry):
    """urllib3's retry, without attempts that could exceed the call's deadline."""

    def is_exhausted(self) -> bool:
        """Return whether no attempt is left."""
        longest = settings.BACKEND_CONNECT_TIMEOUT + settings.BACKEND_READ_TIMEOUT
        return super().is_exhausted() or time.monotonic() + longest > _deadline.get()


def session() -> requests.Session:
    """Return the shared session: persistent connections, no cookies, and retries.

    It is replaced every `SESSION_AGE` seconds. A Kubernetes Service chooses a pod per connection, so new pods would
    otherwise get no requests.
    """
    return _session(int(time.monotonic() // SESSION_AGE))


@functools.lru_cache(maxsize=1)
def _session(age: int) -> requests.Session:
    http = requests.Session()
    http.trust_env = False
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A failed connection is retried for every method, because nothing was sent. Other failures only for GET and DELETE.
    retry = Retry(
        total=2,
        read=1,
        allowed_methods={"GET", "DELETE"},  # RFC 9110 section 9.2.2
        status_forcelist={502, 503, 504},
        backoff_factor=0.1,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    for scheme in ("http://", "https://"):
        http.mount(scheme, HTTPAdapter(pool_maxsize=POOL_SIZE, max_retries=retry))
    return http


def call(service: str, method: str, url: str, *, expected: int, **kwargs: Any) -> Answer:
    """Send a request to an API and return its answer.

    Raise a `BackendError` if the call fails or its status is not the expected one.
    """
    headers = request_id.outgoing_headers() | kwargs.pop("headers", {})
    _deadline.set(time.monotonic() + settings.BACKEND_TOTAL_TIMEOUT)
    try:
        with session().request(
            method,
            url,
            headers=headers,
            timeout=(settings.BACKEND_CONNECT_TIMEOUT, settings.BACKEND_READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
            **kwargs,
        ) as response:
            body = _json(_read(response))
    except (requests.RequestException, HTTPError, TimeoutError, ValueError) as error:
        # The error's text contains the URL, and so the user's search.
        logger.warning("%s %s: %s", method, url, type(error).__name__)
        raise (Unanswered if method == "POST" and _was_sent(error) else Unavailable)(service) from None
    answer = Answer(response.status_code, body, response.headers, response.links)
    if answer.status == expected:
        return answer
    problem = _error(service, answer)
    if isinstance(problem, Unavailable):
        logger.error("%s %s: answered %s", method, url, answer.status)
    raise problem


def unexpected_body(service: str) -> Unavailable:
    """Log that an answer breaks the contract, and return the error to raise.

    The body is not logged: it may contain a user's thoughts or a token.
    """
    logger.error("The %s service answered with an unexpected body.", service)
    return Unavailable(service)


def _was_sent(error: Exception) -> bool:
    """Return whether a request that failed with this error may have arrived."""
    reason = getattr(error.args[0], "reason", None) if error.args else None  # urllib3's error inside that of requests
    return not isinstance(reason, (ConnectTimeoutError, NewConnectionError))


def _read(response: requests.Response) -> bytes:
    """Return the body.

    Raise `TimeoutError` after the call's deadline, because the read timeout applies to each chunk only.
    Raise `ValueError` for more than `MAX_SIZE` bytes.
    """
    body = b""
    while chunk := response.raw.read1(65536, decode_content=True):
        body += chunk
        if time.monotonic() > _deadline.get():
            raise TimeoutError
        if len(body) > MAX_SIZE:
            raise ValueError("the answer is too large")
    return body


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error(service: str, answer: Answer) -> BackendError:
    if answer.status == 429:  # may come from a proxy, so its body does not matter
        return TooManyRequests(service, _wait(answer.headers.get("Retry-After", "")))
    match answer.status, answer.body:
        case 400, {"message": str(message), "errors": dict(errors)}:
            return InvalidInput(service, message, _field_errors(errors))
        case 401, {"message": str(message)}:
            return NotAuthenticated(service, message)
        case 403, {"message": str(message)}:
            return Forbidden(service, message)
        case 404, {"message": str(message)}:
            return NotFound(service, message)
        case 413 | 414, _:  # may come from gunicorn or a proxy
            return InvalidInput(service, "The text is too long.", {})
    return Unavailable(service)


def _wait(seconds: str) -> int:
    """Return the seconds of a Retry-After (RFC 9110 section 10.2.3).

    The APIs send seconds, never a date.
    """
    return min(int(seconds), MAX_WAIT) if seconds.isdecimal() and len(seconds) < 10 else DEFAULT_WAIT


def _field_errors(errors: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [str(each) for each in messages] for name, messages in errors.items() if isinstance(messages, list)}
