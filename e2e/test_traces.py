"""One page is one trace, across all services and their databases.

The test acts as the collector of the spans.
"""

import functools
import gzip
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from requests.cookies import cookiejar_from_dict

from e2e.helpers import CANARY, form
from tools.system import System, start, stop, within

TIMEOUT = 30
Tree = Mapping[str, "Tree"]


@dataclass(frozen=True)
class Span:
    """A received span. `parent` is the id of the parent span, or "" if there is none."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


class Collector(ThreadingHTTPServer):
    """A server that receives spans by OTLP over HTTP.

    OpenTelemetry specifies this protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.bodies: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def spans(self, trace: str) -> list[Span]:
        """Return the received spans of a trace."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [
            Span(
                next(each.value.string_value for each in group.resource.attributes if each.key == "service.name"),
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                {each.key: each.value.string_value or str(each.value.int_value) for each in span.attributes},
            )
            for request in requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector
        collector.shutdown()


@pytest.fixture(scope="module")
def own(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system that records every trace."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "100",  # milliseconds until a service sends its new spans
    }
    system = start(tmp_path_factory.mktemp("own"), **environment)
    yield system
    stop(system)


def test_a_page_is_one_trace(own: System, collector: Collector) -> None:
    with requests.Session() as browser:
        assert form(browser, f"{own.web}/signup/", username="ada", password=f"{CANARY}-wire").ok
        form(browser, f"{own.web}/thoughts/", text=CANARY)
        browser.get(f"{own.web}/search", params={"search": CANARY}, timeout=TIMEOUT)
        page = browser.get(f"{own.web}/account/", params={"x": CANARY}, timeout=TIMEOUT)
        search = browser.get(f"{own.web}/search", params={"search": CANARY}, timeout=TIMEOUT)
        # Without its access token, web renews it with a call to users_api before it calls thoughts_api.
        browser.cookies = cookiejar_from_dict(
            {cookie.name: cookie.value for cookie in browser.cookies if not cookie.name.endswith("session")}
        )
        own_list = browser.get(f"{own.web}/thoughts/", timeout=TIMEOUT)

    def tree(identifier: str, parent: str = "") -> Tree:
        children = [span for span in collector.spans(identifier) if span.parent == parent]
        return {f"{span.service}: {span.name}": tree(identifier, span.id) for span in children}

    def is_tree(identifier: str, expected: Tree) -> bool:
        return tree(identifier) == expected

    # The request id of a page is also the id of the trace.
    expected: Tree
    for response, expected in (
        (page, {"web: GET /account/": {"web: GET": {"users-api: GET /api/sessions/": {"users-api: SQL": {}}}}}),
        (search, {"web: GET /search": {"web: GET": {"thoughts-api: GET /api/thoughts/": {"thoughts-api: SQL": {}}}}}),
        (
            own_list,
            {
                "web: GET /thoughts/": {
                    "web: POST": {"users-api: POST /api/token/refresh/": {"users-api: SQL": {}}},
                    "web: GET": {"thoughts-api: GET /api/me/thoughts/": {"thoughts-api: SQL": {}}},
                }
            },
        ),
    ):
        identifier = response.headers["X-Request-ID"]
        within(TIMEOUT, functools.partial(is_tree, identifier, expected))
        assert tree(identifier) == expected
    spans = collector.spans(search.headers["X-Request-ID"])
    [statement] = [span for span in spans if span.name == "SQL"]
    assert statement.attributes["db.query.text"].startswith("SELECT id, username")
    assert statement.attributes["db.namespace"].endswith("thoughts.sqlite3")
    assert "server.address" not in statement.attributes  # SQLite has no server
    [call] = [span for span in spans if span.name == "GET"]
    assert call.attributes == {
        "http.request.method": "GET",
        "peer.service": "thoughts-api",
        "server.address": "127.0.0.1",
        "server.port": str(urlsplit(own.thoughts).port),
    }
    assert not [body for body in collector.bodies if CANARY.encode() in body]


def test_services_record_only_requests_that_the_client_has_sampled(own: System, collector: Collector) -> None:
    traces = {flags: secrets.token_hex(16) for flags in ("00", "01")}
    for flags, trace in traces.items():
        headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-{flags}"}
        requests.get(f"{own.web}/search", headers=headers, timeout=TIMEOUT).raise_for_status()
    # Each service sends its spans in order. So the spans of the first request would have arrived before those
    # of the second.
    expected = {"web", "thoughts-api"}
    within(TIMEOUT, lambda: {span.service for span in collector.spans(traces["01"])} == expected)
    assert {span.service for span in collector.spans(traces["01"])} == expected
    assert collector.spans(traces["00"]) == []
