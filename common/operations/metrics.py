"""Prometheus metrics of requests, by method, route and status."""

import os
import time

from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from common.http.middleware import Middleware

REGISTRY = CollectorRegistry()  # without the default process metrics, which cannot be summed over workers
DURATION = Histogram(
    "http_request_duration_seconds",
    "Seconds from the first middleware to the response.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class MetricsMiddleware(Middleware):
    """Count and time every request."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the next middleware, then record duration and status."""
        start = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        # Arbitrary values from clients would create a new series each.
        method = request.method if request.method in METHODS else "other"
        route = f"/{match.route}" if match else "unknown"
        DURATION.labels(method, route, response.status_code).observe(time.perf_counter() - start)
        return response


def export() -> HttpResponse:
    """Return all metrics in the text format of Prometheus, summed over workers."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
