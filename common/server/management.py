"""Management port: /healthz, /readyz and /metrics, on a port without Service and ingress.

A thread of each worker serves it, so slow requests do not delay probes. Kubernetes and Prometheus use it.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from common.operations import health


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_port = True  # all workers listen; the kernel chooses one


class _Handler(WSGIRequestHandler):
    timeout = 5  # seconds until a silent client is disconnected

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: probes arrive every second."""


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond to a probe or to Prometheus (WSGI)."""
    response = health.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], health.readiness.last)
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content] if environ["REQUEST_METHOD"] != "HEAD" else []


def serve(host: str, port: int) -> WSGIServer:
    """Start the management port and the readiness checks in background threads.

    Return the server. Raise SystemExit with one line that names the variable if the port is unusable.
    """

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        server = Server((host, port), _Handler)
    except OSError as error:
        raise SystemExit(f"Invalid environment. MANAGEMENT_PORT: {host}:{port}: {error.strerror}") from None
    server.set_app(application)
    threading.Thread(target=health.readiness.watch, name="readiness", daemon=True).start()
    threading.Thread(target=server.serve_forever, name="management", daemon=True).start()
    return server
