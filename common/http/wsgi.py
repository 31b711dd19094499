"""The WSGI application of all three projects."""

from io import BytesIO
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from common.http.middleware import ENCODED_PARAMETER

MAX_CONTENT_TYPE_LENGTH = 1000  # characters; a boundary has at most 70 (RFC 2046 section 5.1.1)
PARSED_HEADERS = ("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING")  # by Django's parse_header_parameters
STATEMENT_TIMEOUT = 2  # seconds, for requests; a statement of a migration may take as long as it needs


class UTF8Request(WSGIRequest):
    """A request whose query and form are UTF-8, as browsers write them, whatever charset its Content-Type names.

    In UTF-7, lone surrogates can hide, which no answer could repeat; and rot13 is a charset to Python.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        content_type = environ.pop("CONTENT_TYPE", "")
        super().__init__(environ)  # would decode the body by the charset of the Content-Type
        if content_type:
            if "*" in content_type or len(content_type) > MAX_CONTENT_TYPE_LENGTH:
                content_type = ""
            environ["CONTENT_TYPE"] = content_type
            self.content_type, self.content_params = parse_header_parameters(content_type)

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read from the body; raise `BadRequest` (400) if it does not arrive."""
        try:
            return super().read(*args, **kwargs)
        except UnreadablePostError:
            raise BadRequest("The body has not arrived.") from None


class Handler(WSGIHandler):
    """Django's, with that request, and with bodies in chunks (RFC 9112 section 7.1), which Django takes for empty."""

    request_class = UTF8Request

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        """Answer a request as WSGI has it."""
        for name in PARSED_HEADERS:
            if ENCODED_PARAMETER.search(environ.get(name, "")):
                del environ[name]
        if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            # One byte more than the limit, so that `RequestLimitsMiddleware` refuses what is larger.
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        response = super().__call__(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD" and isinstance(response, HttpResponse):
            response.content = b""  # a server drops it (RFC 9110 section 9.3.2), gunicorn with a warning
        return response


def get_wsgi_application() -> Handler:
    """Return what `django.core.wsgi.get_wsgi_application` does, with that request.

    From then on this process serves: the statements of its databases have a limit (`common.database.postgresql`).
    """
    django.setup(set_prefix=False)
    for database in settings.DATABASES.values():
        database.setdefault("STATEMENT_TIMEOUT", STATEMENT_TIMEOUT)
    return Handler()
