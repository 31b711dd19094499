"""Serve /healthz, /readyz and /metrics on the management port.

Kubernetes and Prometheus request these paths. The ingress does not forward requests to the management port. Each
worker serves the management port in a background thread, so slow requests do not delay probes.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from common.http.middleware import add_security_headers
from common.operations import health

logger = logging.getLogger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_port = True  # all workers listen on the port; the kernel chooses one for each connection

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that a connection failed, for example because the client disconnected.

        The base class would print the client's address.
        """
        logger.warning("A request to the management port failed.", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = 5  # seconds until the server disconnects a silent client

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because probes are frequent."""


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond to Kubernetes or Prometheus. This is a WSGI application."""
    method, path, accept = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_ACCEPT", "")
    response = add_security_headers(health.answer(method, path, health.readiness.last, accept))
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content] if method != "HEAD" else []


def serve(host: str, port: int) -> WSGIServer:
    """Start the management server and the readiness checks in background threads.

    Return the server. If the port cannot be used, raise SystemExit with a message that names MANAGEMENT_PORT.
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
