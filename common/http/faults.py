"""Simulate faults of a service, in development and tests.

The setting FAULTS enables this module.

There are two ways to choose a fault. The header `X-Fault: thoughts-api=slow` applies to one request, and services pass
the header on to the services that they call. The file FAULTS_PATH applies to all requests of one service. `make fault`
and the buttons in Tilt write this file.
"""

import errno
import re
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from common.http import request_id
from common.http.middleware import GetResponse, Middleware
from common.settings import service_name

HEADER = "X-Fault"
DELAY = 6.0  # seconds that a slow service waits; longer than web's timeout for calls to an API
MAX_SERVICES = 10  # in one header
FAULT = "thoughts.fault"  # the key of the request's fault in the WSGI environ


class Fault(StrEnum):
    """A simulated fault. `NORMAL` in the header overrides the fault in the file."""

    NORMAL = "normal"
    SLOW = "slow"  # wait for `DELAY` seconds before each view
    FAILING = "failing"  # raise `SimulatedFault` instead of calling the view
    DOWN = "down"  # close the connection without a response


ITEM = re.compile(rf"([a-z0-9-]{{1,40}})=({'|'.join(Fault)})")
ALLOWED = f"{HEADER} must be a list such as thoughts-api=slow, users-api=down. The faults are: {', '.join(Fault)}."


class SimulatedFault(Exception):
    """The exception that a failing service raises."""


class FaultMiddleware(Middleware):
    """Middleware that simulates faults.

    Probes and static files are not affected. The management port or `common.operations.health.HealthMiddleware` answers
    probes before this middleware runs. WhiteNoise serves static files before this middleware runs.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self.service = service_name(settings.ROOT_URLCONF)
        self.file = Path(settings.FAULTS_PATH)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Choose the fault of this request, then call the next middleware.

        Return 400 if the header is invalid.
        """
        header = request.headers.get(HEADER, "")
        try:
            chosen = parse(header)
        except ValueError as error:
            return JsonResponse({"message": str(error), "errors": {}}, status=400)
        if header:
            request_id.add_outgoing_header(HEADER, header)
        request.META[FAULT] = chosen.get(self.service) or read(self.file)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Simulate the fault. Return None if Django should call the view."""
        match request.META[FAULT]:
            case Fault.SLOW:
                time.sleep(DELAY)
            case Fault.FAILING:
                raise SimulatedFault("This exception was requested. See FAULTS in docs/operations.md.")
            case Fault.DOWN:
                # GZipMiddleware skips responses that have a Content-Encoding. Otherwise, it would send the first bytes
                # of a gzip stream before `_close` raises.
                return StreamingHttpResponse(_close(), status=503, headers={"Content-Encoding": "identity"})
        return None


def _close() -> Iterator[bytes]:
    """Raise the error that makes gunicorn close the connection without a response."""
    raise ConnectionResetError(errno.ECONNRESET, "simulated fault")  # without the errno, gunicorn logs a traceback
    yield b""  # makes this function a generator, so that it raises when gunicorn reads the body


def parse(header: str) -> dict[str, Fault]:
    """Return the fault of each service in a header.

    Raise ValueError, with the allowed faults, if the header is invalid.
    """
    if not header:
        return {}
    items = [ITEM.fullmatch(item.strip(" \t")) for item in header.split(",")]
    if len(items) > MAX_SERVICES or not all(items):
        raise ValueError(ALLOWED)
    return {item[1]: Fault(item[2]) for item in items if item}


def read(file: Path) -> Fault:
    """Return the fault that a file names.

    Return `NORMAL` if the file is missing, or does not contain the name of a fault.
    """
    try:
        return Fault(file.read_text().strip())
    except (OSError, ValueError):
        return Fault.NORMAL
