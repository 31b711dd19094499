"""Middleware that all three projects use, beside `common.operations.health` and `common.operations.metrics`."""

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

# gunicorn refuses a longer header, but joins the repeated ones of a name.
MAX_HEADER_LENGTH = 8190  # bytes
# The bytes that make a body expensive to parse, and how many of them it may have. The longest thought has 1,000 "%".
COSTLY = {
    "application/json": (b"[{,", 1_000),
    "application/x-www-form-urlencoded": (b"%", 10_000),
    "multipart/form-data": (b";", 1_000),
}
# A parameter that names its charset, such as name*=utf-8''x (RFC 2231). Clients must not send it in forms (RFC 7578
# section 4.2). Django refuses an unknown charset with an exception, and Python keeps each name that it looked up.
ENCODED_PARAMETER = re.compile(r"\*\s*=")

GetResponse = Callable[[HttpRequest], HttpResponse]


class Middleware:
    """Keeps the next layer as `get_response`; a subclass says what happens around it in `__call__`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response


class RequestIDMiddleware(Middleware):
    """Gives each request an id, taken from its X-Request-ID or new, and says it in the answer."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on with its id set."""
        identifier = request_id.begin(request)
        response = self.get_response(request)
        response["X-Request-ID"] = identifier
        return response


class RequestLimitsMiddleware(Middleware):
    """Refuses a request that is larger than any client needs, before anything parses it."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; a header or a body that costs too much is 400, a body that is too large 413."""
        for name, value in request.META.items():
            # A token that is too long is 401 (`common.api.authentication`).
            if name.startswith("HTTP_") and len(value) > MAX_HEADER_LENGTH and name != "HTTP_AUTHORIZATION":
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
    """Sends the setting CONTENT_SECURITY_POLICY with every response."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on and set the header."""
        response = self.get_response(request)
        response["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return response


class ConditionalGetMiddleware(http.ConditionalGetMiddleware):
    """Django's, whose ETag is of the body alone: here it is also of the links to other pages, which are in a header."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response, or 304 where its ETag is the one in If-None-Match (RFC 9110, section 13.1.2)."""
        if isinstance(response, HttpResponse) and "Link" in response and self.needs_etag(response):
            response["ETag"] = quote_etag(sha256(response["Link"].encode() + response.content).hexdigest())
        return super().process_response(request, response)


class WhiteNoiseMiddleware(whitenoise.WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """WhiteNoise's, with two faults fixed.

    In development, it may promise the size of a file that is replaced before it is read. And it looks for `gzip`
    anywhere in Accept-Encoding, so that `gzip;q=0` would get it.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with a static file, whose length is that of what is sent, or pass the request on."""
        response: HttpResponseBase = super().__call__(request)
        if self.autorefresh and isinstance(response, FileResponse) and response.file_to_stream:
            with closing(response):
                content = response.getvalue()
            headers = {**response.headers, "Content-Length": str(len(content))}
            return HttpResponse(content, status=response.status_code, headers=headers)
        return response

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        """Answer with a static file, compressed only if the client accepts that."""
        request.META["HTTP_ACCEPT_ENCODING"] = accepted_codings(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        response: HttpResponseBase = whitenoise.WhiteNoiseMiddleware.serve(static_file, request)
        return response


def accepted_codings(header: str) -> str:
    """Return an Accept-Encoding header without weights, and without what it refuses (RFC 9110 section 12.5.3)."""
    codings = [parse_header_parameters(part) for part in header.split(",")]
    return ", ".join(name for name, parameters in codings if _weight(parameters.get("q", "1")))


def _weight(quality: str) -> float:
    try:
        return float(quality)
    except ValueError:
        return 0
