"""The WSGI application of all three projects."""

from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class UTF8Request(WSGIRequest):
    """A request whose query and form are UTF-8, as browsers write them, whatever charset its Content-Type names.

    In UTF-7, lone surrogates can hide, which no answer could repeat; and rot13 is a charset to Python.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        # Django's own also takes over the charset.
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Handler(WSGIHandler):
    """Django's, with that request."""

    request_class = UTF8Request


def get_wsgi_application() -> Handler:
    """Return what `django.core.wsgi.get_wsgi_application` does, with that request."""
    django.setup(set_prefix=False)
    return Handler()
