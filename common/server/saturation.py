"""Prometheus metrics for gunicorn's busy threads and waiting requests."""

from prometheus_client import Gauge

from common.registry import REGISTRY
from common.server.worker import BufferingWorker

BUSY = Gauge(
    "gunicorn_busy_threads", "Threads that are handling a request.", registry=REGISTRY, multiprocess_mode="livesum"
)
THREADS = Gauge("gunicorn_threads", "Threads that can handle requests.", registry=REGISTRY, multiprocess_mode="livesum")
QUEUED = Gauge(
    "gunicorn_queued_requests", "Requests waiting for a thread.", registry=REGISTRY, multiprocess_mode="livesum"
)


def measure(worker: BufferingWorker) -> None:
    """Set the metrics to a worker's current values."""
    threads, requests = worker.cfg.threads, worker.requests()
    BUSY.set(min(requests, threads))
    QUEUED.set(max(requests - threads, 0))
    THREADS.set(threads)
