"""Middleware that all projects use.

`common.operations` has two more, for health and for metrics.
"""

import re
import secrets
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, MiddlewareNotUsed, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.http.response import FileResponse, HttpResponseBase
from django.middleware import http
from django.middleware.security import SecurityMiddleware
from django.utils.http import parse_header_parameters, quote_etag
from whitenoise import middleware as whitenoise

from common import tracing
from common.http import request_id

# gunicorn has the same limit for each header line. But gunicorn joins repeated headers, so a value may still be longer.
MAX_HEADER_LENGTH = 8190  # bytes
# For each media type, the bytes that make a body expensive to parse, and how many of them a body may contain. In a
# URL-encoded form, the longest valid thought contains 1,000 "%".
COSTLY = {
    "application/json": (b"[{,", 1_000),
    "application/x-www-form-urlencoded": (b"%", 10_000),
    "multipart/form-data": (b";", 1_000),
}
# Matches a header parameter with a charset, such as name*=utf-8''x (RFC 2231). RFC 7578 section 4.2 forbids such
# parameters in forms. If the charset is unknown, Django raises an exception, and Python adds the unknown name to a
# cache without a limit.
ENCODED_PARAMETER = re.compile(r"\*\s*=")

GetResponse = Callable[[HttpRequest], HttpResponse]


class Middleware:
    """Base class. Subclasses implement `__call__` and call `self.get_response`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response


class RequestIDMiddleware(Middleware):
    """Middleware that gives every request an id.

    The response contains the id in the header X-Request-ID. If the client sends this header with a value that is safe
    to log, that value is the id. Otherwise the id is random.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set the id, call the next middleware, and add the header to the response."""
        identifier = request_id.begin(request)
        response = self.get_response(request)
        response["X-Request-ID"] = identifier
        return response


class TracingMiddleware(Middleware):
    """Middleware that records each sampled request as a span, if tracing is on."""

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        if not tracing.is_on():
            raise MiddlewareNotUsed

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the next middleware, inside a span if the request is sampled."""
        trace_id, headers = request_id.trace_id(), request_id.outgoing_headers()
        if not tracing.is_sampled(trace_id, headers.get("traceparent", "")):
            # Tell the services that are called for this request not to record it either.
            request_id.add_outgoing_header("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-00")
            return self.get_response(request)
        with tracing.server_span(request.method or "", trace_id, headers) as span:
            response = self.get_response(request)
            route = f"/{request.resolver_match.route}" if request.resolver_match else "unknown"
            tracing.describe(span, request.method or "", route, response.status_code)
            return response


class RequestLimitsMiddleware(Middleware):
    """Middleware that refuses requests that are too large or too expensive to parse."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Raise `BadRequest` or `RequestDataTooBig`, or call the next middleware."""
        for name, value in request.META.items():
            # Most values are short, so test the length before the name. If a token is too long,
            # `common.api.authentication` responds with 401.
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
    """Middleware that sends the setting CONTENT_SECURITY_POLICY with every response."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the next middleware, then set the header."""
        response = self.get_response(request)
        response["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return response


def add_security_headers(response: HttpResponse) -> HttpResponse:
    """Add the security headers to a response, and return it.

    Call this function for a response that does not pass through the middleware. The headers have the same values as
    those of other responses, because the same middleware adds them. X-Frame-Options is left out, because
    Content-Security-Policy already forbids frames.
    """
    request = HttpRequest()
    if settings.SECURE_PROXY_SSL_HEADER:  # SecurityMiddleware sends Strict-Transport-Security only over https
        request.META = dict([settings.SECURE_PROXY_SSL_HEADER])
    SecurityMiddleware(lambda _: response).process_response(request, response)
    return ContentSecurityPolicyMiddleware(lambda _: response)(request)


class ConditionalGetMiddleware(http.ConditionalGetMiddleware):
    """Django's middleware, with an ETag that also depends on the Link header.

    Two pages with the same body may have different Link headers, which contain the URL of the next page.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response, or 304 if If-None-Match contains its ETag."""
        if isinstance(response, HttpResponse) and "Link" in response and self.needs_etag(response):
            response["ETag"] = quote_etag(sha256(response["Link"].encode() + response.content).hexdigest())
        return super().process_response(request, response)


class WhiteNoiseMiddleware(whitenoise.WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """WhiteNoise's middleware, with fixes for two bugs.

    First, in development, WhiteNoise reads the size of a file before its content. If the file changes in between, the
    Content-Length is wrong. Second, WhiteNoise only looks for the substring `gzip` in Accept-Encoding. So it sends a
    compressed file even for `gzip;q=0`, which forbids compression.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return a static file with the correct length, or call the next middleware."""
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
    """Return the codings in an Accept-Encoding header, except those with weight 0.

    The codings are returned without their weights (`q=`). See RFC 9110 section 12.5.3.
    """
    codings = [parse_header_parameters(part) for part in header.split(",")]
    return ", ".join(name for name, parameters in codings if _weight(parameters.get("q", "1")))


def _weight(quality: str) -> float:
    try:
        return float(quality)
    except ValueError:
        return 0
