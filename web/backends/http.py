"""Call the APIs over HTTP, with pooled connections, timeouts and retries.

Turn error responses into exceptions.
"""

import functools
import json
import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from django.conf import settings
from prometheus_client import Histogram
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from common import tracing
from common.http import request_id
from common.registry import REGISTRY
from web.backends.exceptions import (
    BackendError,
    BadAnswer,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unanswered,
    Unavailable,
)

logger = logging.getLogger(__name__)

DURATION = Histogram(
    "backend_call_duration_seconds",
    "Seconds of a call to an API, with its retries. The outcome is ok, refused or unavailable.",
    ["service", "outcome"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)

POOL_SIZE = 32  # connections kept open to each API; at least as many as gunicorn has threads
SESSION_AGE = 120  # seconds until the connections are replaced
MAX_SIZE = 5_000_000  # bytes; an answer with a larger body is refused
MAX_WAIT = 24 * 3600  # seconds; a longer Retry-After is reduced to this
DEFAULT_WAIT = 60  # seconds to wait if an answer has no valid Retry-After

_deadline: ContextVar[float] = ContextVar("deadline")  # the `time.monotonic()` by which the current call must end


@dataclass(frozen=True)
class Answer:
    """An answer from an API.

    `body` is the parsed JSON, or None if the body is not JSON.
    """

    status: int
    body: Any
    headers: "requests.structures.CaseInsensitiveDict[str]"
    links: dict[str, dict[str, str]]


class Retry(urllib3.Retry):
    """urllib3's retry policy.

    It also stops retrying if another attempt could exceed the deadline of the call.
    """

    def is_exhausted(self) -> bool:
        """Return True if no further attempt may be made."""
        longest = settings.BACKEND_CONNECT_TIMEOUT + settings.BACKEND_READ_TIMEOUT
        return super().is_exhausted() or time.monotonic() + longest > _deadline.get()


def session() -> requests.Session:
    """Return the session that all threads share.

    It keeps connections open, stores no cookies, and retries calls.

    Every `SESSION_AGE` seconds, a new session with new connections replaces it. Kubernetes chooses a pod when a
    connection is opened. Without new connections, pods that start later would get no requests.
    """
    return _session(int(time.monotonic() // SESSION_AGE))


@functools.lru_cache(maxsize=1)
def _session(age: int) -> requests.Session:
    http = requests.Session()
    http.trust_env = False
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # If a connection cannot be opened, nothing was sent, so any method is retried. After other failures, only GET and
    # DELETE are retried.
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


def call(
    service: str, method: str, url: str, *, expected: int, read_timeout: float | None = None, **kwargs: Any
) -> Answer:
    """Send a request to the API `service` and return the answer.

    Record the duration in a metric. If `read_timeout` is given, the call waits at most that many seconds for an answer,
    and is not retried. Raise a `BackendError` if the call fails, or if the status of the answer is not `expected`.
    """
    start, outcome = time.perf_counter(), "ok"
    attributes = _attributes(service, method, url) if tracing.is_on() else {}
    try:
        with tracing.span(method, **attributes):
            return _call(service, method, url, expected, read_timeout, **kwargs)
    except BackendError as error:
        outcome = "unavailable" if isinstance(error, Unavailable) else "refused"
        raise
    finally:
        DURATION.labels(service, outcome).observe(time.perf_counter() - start)


def _attributes(service: str, method: str, url: str) -> dict[str, str | int]:
    """Return the attributes of the span of a call.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
    """
    address = urlsplit(url)
    return {
        "http__request__method": method,
        "server__address": address.hostname or "",
        "server__port": address.port or {"http": 80, "https": 443}[address.scheme],
        "peer__service": service,
    }


def _call(service: str, method: str, url: str, expected: int, read_timeout: float | None, **kwargs: Any) -> Answer:
    headers = request_id.outgoing_headers() | tracing.outgoing_headers() | kwargs.pop("headers", {})
    _deadline.set(time.monotonic() + (read_timeout or settings.BACKEND_TOTAL_TIMEOUT))
    try:
        with session().request(
            method,
            url,
            headers=headers,
            timeout=(settings.BACKEND_CONNECT_TIMEOUT, read_timeout or settings.BACKEND_READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
            **kwargs,
        ) as response:
            body = _json(_read(response))
    except (requests.RequestException, HTTPError, TimeoutError, ValueError) as error:
        # Log only the type of the error, because the text contains the URL with the user's search.
        logger.warning("%s %s: %s", method, url, type(error).__name__)
        raise (Unanswered if method == "POST" and _was_sent(error) else Unavailable)(service) from None
    answer = Answer(response.status_code, body, response.headers, response.links)
    if answer.status == expected:
        return answer
    problem = _error(service, answer)
    if isinstance(problem, Unavailable):
        logger.error("%s %s: answered %s", method, url, answer.status)
    raise problem


def unexpected_body(service: str) -> BadAnswer:
    """Log that an API answered with an unexpected body, and return the error to raise.

    The body itself is not logged, because it may contain a user's thoughts or a token.
    """
    logger.error("%s answered with an unexpected body.", service)
    return BadAnswer(service)


def _was_sent(error: Exception) -> bool:
    """Return whether the API may have received a request that failed with this error."""
    reason = getattr(error.args[0], "reason", None) if error.args else None  # urllib3's error, which requests wraps
    return not isinstance(reason, (ConnectTimeoutError, NewConnectionError))


def _read(response: requests.Response) -> bytes:
    """Return the body of a response.

    Raise `TimeoutError` if the deadline of the call passes. The read timeout alone is not enough, because it starts
    again with each chunk. Raise `ValueError` if the body has more than `MAX_SIZE` bytes.
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
    if answer.status == 429:  # a proxy may have sent this answer, so ignore the body
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
        case 413 | 414, _:  # gunicorn or a proxy may have sent this answer, so ignore the body
            return InvalidInput(service, "The text is too long.", {})
    return BadAnswer(service)


def _wait(seconds: str) -> int:
    """Return the number of seconds in a Retry-After header (RFC 9110 section 10.2.3).

    The header may also contain a date, but the APIs never send one.
    """
    return min(int(seconds), MAX_WAIT) if seconds.isdecimal() and len(seconds) < 10 else DEFAULT_WAIT


def _field_errors(errors: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [str(each) for each in messages] for name, messages in errors.items() if isinstance(messages, list)}
