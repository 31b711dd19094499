"""The WSGI application that all projects use."""

import os
from io import BytesIO
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from common import events, sentry, tracing
from common.database import statements
from common.http.middleware import ENCODED_PARAMETER
from common.settings import service_name

MAX_CONTENT_TYPE_LENGTH = 1000  # characters; a boundary has at most 70 (RFC 2046 section 5.1.1)
PARSED_HEADERS = ("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING")  # Django parses these with `parse_header_parameters`
STATEMENT_TIMEOUT = 2  # seconds; it applies to requests, but not to migrations


class UTF8Request(WSGIRequest):
    """Request that always decodes the query and the form as UTF-8.

    It ignores the charset in the Content-Type, because other charsets are dangerous. UTF-7 can encode lone surrogates,
    which a response in UTF-8 cannot contain. Python even accepts rot13 as a charset.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        content_type = environ.pop("CONTENT_TYPE", "")
        super().__init__(environ)  # without a Content-Type, Django uses UTF-8
        if content_type:
            # Django raises an exception for some parameters with a charset (`*`), and is slow for long values.
            if "*" in content_type or len(content_type) > MAX_CONTENT_TYPE_LENGTH:
                content_type = ""
            environ["CONTENT_TYPE"] = content_type
            self.content_type, self.content_params = parse_header_parameters(content_type)

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read from the body.

        Raise `BadRequest` (400) if the client does not send the whole body.
        """
        try:
            return super().read(*args, **kwargs)
        except UnreadablePostError:
            raise BadRequest("The body did not arrive.") from None


class Handler(WSGIHandler):
    """Django's WSGI handler, with `UTF8Request` and with support for chunked bodies.

    Django treats a chunked body (RFC 9112 section 7.1) as empty.
    """

    request_class = UTF8Request

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        """Return the response to a WSGI request."""
        # Ignore headers that contain a charset. Django would raise an exception for an unknown charset.
        for name in PARSED_HEADERS:
            if ENCODED_PARAMETER.search(environ.get(name, "")):
                del environ[name]
        if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            # Read up to one byte more than allowed, so that `RequestLimitsMiddleware` refuses a body that is too large.
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        response = super().__call__(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD" and isinstance(response, HttpResponse):
            response.content = b""  # RFC 9110 section 9.3.2; gunicorn would remove the body, but log a warning
        return response


def get_wsgi_application() -> Handler:
    """Return the WSGI application.

    Also create the application's metrics, and set the time limit for its SQL statements. `common.database.postgresql`
    enforces the limit. Projects call this function instead of `django.core.wsgi.get_wsgi_application`.
    """
    django.setup(set_prefix=False)
    for database in settings.DATABASES.values():
        database.setdefault("STATEMENT_TIMEOUT", STATEMENT_TIMEOUT)
    events.start()
    statements.start()
    service = service_name(settings.ROOT_URLCONF)
    if os.environ.get(tracing.ENDPOINT):
        tracing.start(service, settings.VERSION)
    if settings.SENTRY_DSN:
        sentry.start(settings.SENTRY_DSN, settings.SENTRY_ENVIRONMENT, service, settings.VERSION)
    return Handler()
