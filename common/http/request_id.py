"""The id and the trace context of the current request, for logs and for requests to other services."""

import logging
import re
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

from django.http import HttpRequest

_headers: ContextVar[Mapping[str, str]] = ContextVar("request_headers", default=MappingProxyType({}))

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def begin(request: HttpRequest) -> str:
    """Read the request id and the trace context from the headers. Return the id.

    Generate an id if the client has sent none, or one that is unsafe to log.
    """
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex
    headers = {"X-Request-ID": request_id}
    # See W3C Trace Context, sections 3.2 and 3.3.
    traceparent = request.headers.get("traceparent", "")
    if _TRACEPARENT.fullmatch(traceparent):
        headers["traceparent"] = traceparent
        tracestate = request.headers.get("tracestate", "")
        if tracestate and len(tracestate) <= 512 and tracestate.isprintable() and tracestate.isascii():
            headers["tracestate"] = tracestate
    _headers.set(headers)
    return request_id


def outgoing_headers() -> dict[str, str]:
    """Return the headers that pass the id and the trace context to another service."""
    return dict(_headers.get())


class LogFilter(logging.Filter):
    """Log filter that adds the attribute `request_id` to every record. Outside a request, it is `-`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the request id, and return True to keep the record."""
        record.request_id = _headers.get().get("X-Request-ID", "-")
        return True
