"""Count requests, and measure their duration, for Prometheus."""

import os
import time

from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from common import tracing
from common.http.middleware import Middleware
from common.http.request_id import add_log_fields
from common.registry import REGISTRY

DURATION = Histogram(
    "http_request_duration_seconds",
    "Seconds from the first middleware to the response.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class MetricsMiddleware(Middleware):
    """Middleware that records each request's duration by method, route and status.

    It also adds the route to the log fields.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the next middleware, then record the duration of the request."""
        start = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        # Prometheus stores a time series for each label value, so clients must not be able to choose new values.
        method = request.method if request.method in METHODS else "other"
        route = f"/{match.route}" if match else "unknown"
        add_log_fields(route=route)
        duration = DURATION.labels(method, route, response.status_code)
        duration.observe(time.perf_counter() - start, tracing.exemplar())
        return response


def export(accept: str = "") -> HttpResponse:
    """Return the metrics of all workers in Prometheus's text format.

    `accept` is the Accept header of the request. If it contains the media type of OpenMetrics, return the metrics in
    that format, which also contains exemplars.
    """
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    if "application/openmetrics-text" in accept:
        return HttpResponse(openmetrics.generate_latest(registry), content_type=openmetrics.CONTENT_TYPE_LATEST)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
