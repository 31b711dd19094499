"""The one way in which web calls an API."""

import functools
import logging
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from common import request_id
from web.backends.exceptions import (
    BackendError,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unavailable,
)

logger = logging.getLogger(__name__)

POOL_SIZE = 32  # connections kept to each API; no fewer than gunicorn's threads


@functools.cache
def session() -> requests.Session:
    """Return the session that all calls share: kept-alive connections, no cookies, retries of idempotent calls only."""
    http = requests.Session()
    http.trust_env = False
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A connection that could not be made is tried again for any method: nothing was sent.
    retry = Retry(
        total=2,
        allowed_methods={"GET", "DELETE"},  # RFC 9110 section 9.2.2
        status_forcelist={502, 503, 504},
        backoff_factor=0.1,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    for scheme in ("http://", "https://"):
        http.mount(scheme, HTTPAdapter(pool_maxsize=POOL_SIZE, max_retries=retry))
    return http


def call(service: str, method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send a request to an API and return its answer if it is a 2xx; raise a `BackendError` otherwise."""
    headers = request_id.outgoing_headers() | kwargs.pop("headers", {})
    try:
        response = session().request(
            method,
            url,
            headers=headers,
            timeout=(settings.BACKEND_CONNECT_TIMEOUT, settings.BACKEND_READ_TIMEOUT),
            allow_redirects=False,
            **kwargs,
        )
    except requests.RequestException as error:
        logger.warning("%s %s: %s", method, url, error)
        raise Unavailable(service) from None
    if response.ok and not response.is_redirect:
        return response
    raise _error(service, response)


def _error(service: str, response: requests.Response) -> BackendError:
    body = json(service, response) if response.status_code < 500 else {}
    message = body.get("message", "") if isinstance(body, dict) else ""
    match response.status_code:
        case 400:
            return InvalidInput(service, message, body.get("errors", {}))
        case 401:
            return NotAuthenticated(service, message)
        case 404:
            return NotFound(service, message)
        case 429:
            seconds = response.headers.get("Retry-After", "")
            return TooManyRequests(service, message, int(seconds) if seconds.isdecimal() else 60)
    logger.error("%s answered %s to %s", service, response.status_code, response.request.url)
    return Unavailable(service)


def json(service: str, response: requests.Response) -> Any:
    """Return the body of an answer; `Unavailable` if it is not JSON."""
    try:
        return response.json()
    except ValueError:
        logger.error("%s answered %s without JSON", service, response.status_code)
        raise Unavailable(service) from None
