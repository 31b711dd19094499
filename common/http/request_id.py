"""Keep the id, trace context and log fields of the current request.

Log lines contain the log fields. Calls to other services pass on the id and the trace context.
"""

import logging
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from django.http import HttpRequest

from common.http.addresses import client_network
from common.logs import LOG_FIELDS

_headers: ContextVar[Mapping[str, str]] = ContextVar("request_headers", default=MappingProxyType({}))
_fields: ContextVar[dict[str, Any] | None] = ContextVar("log_fields", default=None)

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")
# W3C Trace Context section 3.2.2 forbids the version ff, and ids that consist only of zeros.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")


def begin(request: HttpRequest) -> str:
    """Read the request id and the trace context from the headers, and return the id.

    Generate an id if the request has none, or if its id is unsafe to log.
    """
    sent = request.META  # faster than `request.headers`, which copies all headers
    given = sent.get("HTTP_X_REQUEST_ID", "")
    request_id = given if _ACCEPTED.fullmatch(given) else secrets.token_hex(16)
    headers = {"X-Request-ID": request_id}
    # W3C Trace Context sections 3.2 and 3.3.
    traceparent = _TRACEPARENT.fullmatch(sent.get("HTTP_TRACEPARENT", ""))
    if traceparent:
        headers["traceparent"] = traceparent[0]
        tracestate = sent.get("HTTP_TRACESTATE", "")
        if tracestate and len(tracestate) <= 512 and tracestate.isprintable() and tracestate.isascii():
            headers["tracestate"] = tracestate
    _headers.set(headers)
    # If the client sent no trace context, the trace id is the request id. If the request id does not have the form of a
    # trace id, the trace id is a hash of the request id. So all services that handle this request log the same trace
    # id. All bits of a trace id must be random, because OpenTelemetry samples the traces whose ids are below a limit. A
    # UUID has fixed bits, so as a trace id it would always be above the limit for a sampling rate of 10 %.
    if traceparent:
        trace_id = traceparent[1]
    else:
        trace_id = request_id if _TRACE_ID.fullmatch(request_id) else sha256(request_id.encode()).hexdigest()[:32]
    fields = sent[LOG_FIELDS] = {"request_id": request_id, "trace_id": trace_id}
    _fields.set(fields)
    fields["network"] = client_network(request)
    return request_id


def outgoing_headers() -> dict[str, str]:
    """Return headers that pass the request id and trace context to another service."""
    return dict(_headers.get())


def add_outgoing_header(name: str, value: str) -> None:
    """Pass another header of this request on to other services."""
    _headers.set({**_headers.get(), name: value})


def current() -> str:
    """Return the id of the current request, or "" outside a request."""
    return _headers.get().get("X-Request-ID", "")


def trace_id() -> str:
    """Return the trace id that the log contains for the current request."""
    return str((_fields.get() or {}).get("trace_id", ""))


def add_log_fields(**fields: Any) -> None:
    """Add fields to the remaining log lines of this request.

    The line of this request in the access log also contains the fields.
    """
    current = _fields.get()
    if current is not None:
        current.update(fields)


class LogFilter(logging.Filter):
    """Log filter that adds the log fields of the request to every record.

    Outside a request, `request_id` is `-`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields that the record does not have yet; always return True."""
        for name, value in (_fields.get() or {"request_id": "-"}).items():
            record.__dict__.setdefault(name, value)
        return True
