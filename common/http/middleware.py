"""Middleware of all projects. `common.operations` has two more, for health and metrics."""

import re
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.http.response import FileResponse, HttpResponseBase
from django.middleware import http
from django.utils.http import parse_header_parameters, quote_etag
from whitenoise import middleware as whitenoise

from common.http import request_id

# gunicorn has the same limit, but joins repeated headers after its check.
MAX_HEADER_LENGTH = 8190  # bytes
# Characters that make a body expensive to parse, and their limits. The longest valid thought has 1,000 "%".
COSTLY = {
    "application/json": (b"[{,", 1_000),
    "application/x-www-form-urlencoded": (b"%", 10_000),
    "multipart/form-data": (b";", 1_000),
}
# A parameter with a charset, such as name*=utf-8''x (RFC 2231). Clients must not send it in forms (RFC 7578 section
# 4.2). Django raises an exception for an unknown charset, and Python caches every name that was looked up.
ENCODED_PARAMETER = re.compile(r"\*\s*=")

GetResponse = Callable[[HttpRequest], HttpResponse]


class Middleware:
    """Base class. Subclasses implement `__call__` and call `self.get_response`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response


class RequestIDMiddleware(Middleware):
    """Set the request id, from X-Request-ID or new, and return it in the response."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set the id, then call the next middleware."""
        identifier = request_id.begin(request)
        response = self.get_response(request)
        response["X-Request-ID"] = identifier
        return response


class RequestLimitsMiddleware(Middleware):
    """Refuse oversized and expensive requests before anything parses them."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Raise `BadRequest` or `RequestDataTooBig`, or call the next middleware."""
        for name, value in request.META.items():
            # Most values are short, so the length comes first. A long token is 401 (`common.api.authentication`).
            if (
                type(value) is str
                and len(value) > MAX_HEADER_LENGTH
                and name.startswith("HTTP_")
                and name != "HTTP_AUTHORIZATION"
            ):
                raise BadRequest("A header is too long.")
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("The body is too large.")
        if request.content_type in COSTLY:
            costly, limit = COSTLY[request.content_type]
            if sum(map(request.body.count, costly)) > limit:
                raise TooManyFieldsSent("The body is too expensive to parse.")
        if request.content_type == "multipart/form-data":
            delimiter = b"--" + (request.content_params or {}).get("boundary", "").encode()
            for part in request.body.split(delimiter):
                headers = part.partition(b"\r\n\r\n")[0].decode(errors="replace")
                if ENCODED_PARAMETER.search(headers):
                    raise BadRequest("A part of the form has a parameter with a charset.")
        return self.get_response(request)


class ContentSecurityPolicyMiddleware(Middleware):
    """Send the setting CONTENT_SECURITY_POLICY with every response."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the next middleware, then set the header."""
        response = self.get_response(request)
        response["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return response


class ConditionalGetMiddleware(http.ConditionalGetMiddleware):
    """Django's middleware, with an ETag that also covers the Link header, which has the next page."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response, or 304 if If-None-Match has its ETag."""
        if isinstance(response, HttpResponse) and "Link" in response and self.needs_etag(response):
            response["ETag"] = quote_etag(sha256(response["Link"].encode() + response.content).hexdigest())
        return super().process_response(request, response)


class WhiteNoiseMiddleware(whitenoise.WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """WhiteNoise's middleware with two bugs fixed.

    In development, Content-Length is wrong if a file changes between the size check and the read. And WhiteNoise
    searches Accept-Encoding for the substring `gzip`, so it ignores `gzip;q=0`.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return a static file with its real length, or call the next middleware."""
        response: HttpResponseBase = super().__call__(request)
        if self.autorefresh and isinstance(response, FileResponse) and response.file_to_stream:
            with closing(response):
                content = response.getvalue()
            headers = {**response.headers, "Content-Length": str(len(content))}
            return HttpResponse(content, status=response.status_code, headers=headers)
        return response

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        """Return a static file, compressed only if the client accepts it."""
        request.META["HTTP_ACCEPT_ENCODING"] = accepted_codings(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        response: HttpResponseBase = whitenoise.WhiteNoiseMiddleware.serve(static_file, request)
        return response


def accepted_codings(header: str) -> str:
    """Return Accept-Encoding without weights and without codings of weight 0.

    See RFC 9110 section 12.5.3.
    """
    codings = [parse_header_parameters(part) for part in header.split(",")]
    return ", ".join(name for name, parameters in codings if _weight(parameters.get("q", "1")))


def _weight(quality: str) -> float:
    try:
        return float(quality)
    except ValueError:
        return 0
