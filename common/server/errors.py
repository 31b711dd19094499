"""Send error responses to requests that never reach Django.

For example, gunicorn refuses a request with a malformed header.
"""

import functools
import socket
from collections.abc import Callable

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.utils.module_loading import import_string

from common.http.middleware import add_security_headers

Render = Callable[[int, str], HttpResponse]


def as_json(status: int, message: str) -> HttpResponse:
    """Return an error response in the same JSON format as the errors of the APIs."""
    return JsonResponse({"message": message} | ({"errors": {}} if status == 400 else {}), status=status)


@functools.lru_cache(maxsize=32)  # so that a hostile client that repeats an error causes little work
def _error(status: int, reason: str, message: str) -> bytes:
    """Return a complete HTTP response as bytes, with security headers.

    The setting SERVER_ERROR is the dotted path of the function that creates the response. The default is `as_json`.
    """
    render: Render = import_string(getattr(settings, "SERVER_ERROR", "common.server.errors.as_json"))
    response = add_security_headers(render(status, message))
    response["Cache-Control"] = "no-store"  # otherwise, caches may store a 414 (RFC 9110 section 15.1)
    headers = {**response.headers, "Connection": "close", "Content-Length": str(len(response.content))}
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.content


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Send an error response with `Connection: close`. gunicorn calls this function."""
    sock.sendall(_error(status_int, reason, mesg or reason))
