"""Trace requests with OpenTelemetry. Tracing is off by default.

Without tracing, this module imports nothing from OpenTelemetry, and `span` does nothing. The spans contain only
attributes that this code sets, such as routes, statuses and SQL with placeholders. They contain no query strings, no
SQL parameters and no text that users wrote.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
RATE = "OTEL_TRACES_SAMPLER_ARG"
DEFAULT_RATE = 0.1  # the share of traces that is recorded
MAX_SQL = 2_000  # the maximum number of characters of a statement in a span

# `start` sets these. Until then, no module of OpenTelemetry is imported.
_tracer: Any = None
_otel: Any = None  # the module opentelemetry.trace
_propagator: Any = None
_sampler: Any = None
_trace_id: ContextVar[str] = ContextVar("trace_id", default="")  # the trace that is recorded, or "" if there is none


def is_on() -> bool:
    """Return whether `start` has been called."""
    return _tracer is not None


def start(service: str, version: str) -> None:
    """Record traces and send them to the collector at OTEL_EXPORTER_OTLP_ENDPOINT.

    Call this function after gunicorn has forked the worker, because it starts a thread that sends the spans. Raise
    SystemExit with a one-line message if the packages are not installed, or if OTEL_TRACES_SAMPLER_ARG is invalid.
    """
    global _tracer, _otel, _propagator, _sampler
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        raise SystemExit(
            f"Invalid environment. {ENDPOINT}: the packages in common/requirements-telemetry.txt are not installed"
        ) from None

    class RequestIds(RandomIdGenerator):
        """Generator that returns the trace id that the log contains for the request."""

        def generate_trace_id(self) -> int:
            return int(_trace_id.get(), 16)

    name = os.environ.get("OTEL_SERVICE_NAME") or service
    resource = Resource.create({"service.name": name, "service.version": version})
    _sampler = TraceIdRatioBased(sampling_rate())
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=RequestIds())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer, _otel, _propagator = provider.get_tracer("thoughts"), trace, TraceContextTextMapPropagator()


def sampling_rate() -> float:
    """Return the share of traces to record, from 0 to 1.

    Raise SystemExit if the variable is invalid.
    """
    text = os.environ.get(RATE, "") or str(DEFAULT_RATE)
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate <= 1:
        raise SystemExit(f"Invalid environment. {RATE}: not a number from 0 to 1: {text!r}")
    return rate


def is_sampled(trace_id: str, traceparent: str = "") -> bool:
    """Return whether to record the trace of an incoming request.

    Call this function only if tracing is on.

    If the request has a `traceparent`, its flag `sampled` decides (W3C Trace Context section 3.2.2.5.1). A request that
    is not recorded opens no spans, because even spans that record nothing would slow down each request.
    """
    if traceparent:
        return bool(int(traceparent[-2:], 16) & 1)
    return bool(_sampler.should_sample(None, int(trace_id, 16), "").decision.is_sampled())


@contextmanager
def server_span(name: str, trace_id: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """Open the span of an incoming request that is sampled.

    The span continues the trace that the `traceparent` in `headers` names. Without `traceparent`, the span begins a
    trace with the id `trace_id`. Call this function only if tracing is on.
    """
    recorded = _trace_id.set(trace_id)
    context = _propagator.extract(headers)
    try:
        with _tracer.start_as_current_span(
            name, context=context, kind=_otel.SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            yield span
    finally:
        _trace_id.reset(recorded)


def describe(span: Any, method: str, route: str, status: int) -> None:
    """Set the name and the attributes of an incoming request's span.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    """
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(_otel.StatusCode.ERROR)


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """Open a span for a call to another system if the current span is recorded.

    Otherwise, do nothing. The new span is a child of the current one. A double underscore in the name of an attribute
    stands for a dot. Attributes with empty values are left out.
    """
    return _client_span(name, attributes) if _trace_id.get() else nullcontext()


@contextmanager
def _client_span(name: str, attributes: Mapping[str, str | int]) -> Iterator[Any]:
    values = {key.replace("__", "."): value for key, value in attributes.items() if value}
    with _tracer.start_as_current_span(
        name, kind=_otel.SpanKind.CLIENT, attributes=values, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            # Record only the class of the error, because its message may contain a user's data.
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(_otel.StatusCode.ERROR)
            raise


def outgoing_headers() -> dict[str, str]:
    """Return the headers that pass the current span to another service.

    If no span is recorded, return {}.
    """
    headers: dict[str, str] = {}
    if _trace_id.get():
        _propagator.inject(headers)
    return headers


def exemplar() -> dict[str, str] | None:
    """Return the trace id as a metric's exemplar, or None if no trace is recorded."""
    return {"trace_id": trace_id} if (trace_id := _trace_id.get()) else None
