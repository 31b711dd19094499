"""Simulate Sentry's server, for the tests in common/ and e2e/."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """A server that receives Sentry's envelopes.

    The server does not respond to requests until `answering` is set.
    https://develop.sentry.dev/sdk/foundations/transport/envelopes/
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dsn = f"http://key@127.0.0.1:{self.server_port}/1"
        self.answering = threading.Event()
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        """Return the received events. Fail if an envelope contains anything else."""
        events = []
        for body in self.bodies:
            header, item, event = body.strip().split(b"\n")
            assert json.loads(header).keys() == {"event_id", "sent_at"}
            assert json.loads(item)["type"] == "event"
            events.append(json.loads(event))
        return events


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        assert self.headers["Content-Encoding"] == "gzip"
        self.server.heads.append(f"{self.path} {self.headers}")
        self.server.bodies.append(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.answering.wait()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
