"""The WSGI application of all three projects."""

from io import BytesIO
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

STATEMENT_TIMEOUT = 2  # seconds, for requests; a statement of a migration may take as long as it needs


class UTF8Request(WSGIRequest):
    """A request whose query and form are UTF-8, as browsers write them, whatever charset its Content-Type names.

    In UTF-7, lone surrogates can hide, which no answer could repeat; and rot13 is a charset to Python.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        # Django's own also takes over the charset.
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read from the body; `RequestDataTooBig` if it is too long, `BadRequest` if it does not arrive (both 400).

        Django does not count the files in it: nobody is to send some.
        https://docs.djangoproject.com/en/5.2/ref/settings/#data-upload-max-memory-size
        """
        if int(self.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("The body is too long.")
        try:
            return super().read(*args, **kwargs)
        except UnreadablePostError:
            raise BadRequest("The body has not arrived.") from None


class Handler(WSGIHandler):
    """Django's, with that request, and with bodies in chunks (RFC 9112 section 7.1), which Django takes for empty."""

    request_class = UTF8Request

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        """Answer a request as WSGI has it."""
        if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            # One byte more than Django takes, so that it refuses what is longer.
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return super().__call__(environ, start_response)


def get_wsgi_application() -> Handler:
    """Return what `django.core.wsgi.get_wsgi_application` does, with that request.

    From then on this process serves: the statements of its databases have a limit (`common.postgresql`).
    """
    django.setup(set_prefix=False)
    for database in settings.DATABASES.values():
        database.setdefault("STATEMENT_TIMEOUT", STATEMENT_TIMEOUT)
    return Handler()
