"""The one way in which web calls an API."""

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
MAX_WAIT = 24 * 3600  # seconds; a longer Retry-After is not believed
DEFAULT_WAIT = 60  # seconds, where an API does not say how long


_deadline: ContextVar[float] = ContextVar("deadline")  # of the call that is made


@dataclass(frozen=True)
class Answer:
    """What an API answered: its status, its body read as JSON (None if it is not JSON), its headers and links."""

    status: int
    body: Any
    headers: "requests.structures.CaseInsensitiveDict[str]"
    links: dict[str, dict[str, str]]


class Retry(urllib3.Retry):
    """urllib3's, which tries nothing again that could then last beyond the call's deadline."""

    def is_exhausted(self) -> bool:
        """Return whether a request is not to be tried again."""
        lasts = settings.BACKEND_CONNECT_TIMEOUT + settings.BACKEND_READ_TIMEOUT
        return super().is_exhausted() or time.monotonic() + lasts > _deadline.get()


def session() -> requests.Session:
    """Return the session that all calls share: kept-alive connections, no cookies, and retries.

    Now and then it is a new one: a Service chooses a pod for each connection, so pods that are new would get none.
    """
    return _session(int(time.monotonic() // SESSION_AGE))


@functools.lru_cache(maxsize=1)
def _session(age: int) -> requests.Session:
    http = requests.Session()
    http.trust_env = False
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A connection that could not be made is tried again for any method, for nothing was sent; all else for these alone.
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
    """Send a request to an API and return its answer; raise a `BackendError` if its status is not the expected one."""
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
        # Not the error's text: it has the address, and with it what somebody searches for.
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
    """Log that an API answered with a body that breaks the contract; return the error to raise.

    The log has nothing of the body: it may be somebody's thoughts or a token.
    """
    logger.error("The %s service answered with an unexpected body.", service)
    return Unavailable(service)


def _was_sent(error: Exception) -> bool:
    """Return whether a request that failed with this may have arrived."""
    reason = getattr(error.args[0], "reason", None) if error.args else None  # of urllib3, for what requests raises
    return not isinstance(reason, (ConnectTimeoutError, NewConnectionError))


def _read(response: requests.Response) -> bytes:
    """Return the body; `TimeoutError` or `ValueError` for one that does not end.

    The read time-out is for each piece: an answer that comes byte by byte would never reach it.
    """
    body = b""
    while piece := response.raw.read1(65536, decode_content=True):
        body += piece
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
    if answer.status == 429:  # whoever says it: an API, or a proxy before it, which knows nothing of our body
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
        case 413 | 414, _:  # from the API, or from the server or proxy before it
            return InvalidInput(service, "It is too long.", {})
    return Unavailable(service)


def _wait(seconds: str) -> int:
    """Return the seconds of a Retry-After (RFC 9110 section 10.2.3); a date is not used by our APIs."""
    return min(int(seconds), MAX_WAIT) if seconds.isdecimal() and len(seconds) < 10 else DEFAULT_WAIT


def _field_errors(errors: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [str(each) for each in messages] for name, messages in errors.items() if isinstance(messages, list)}
