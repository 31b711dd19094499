"""Test that tracing is off by default, and that its settings are checked."""

import re
import subprocess
import sys
from contextlib import nullcontext

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common import tracing
from common.http import request_id
from common.http.middleware import RequestIDMiddleware, TracingMiddleware
from common.settings import ROOT

CODE = """
import sys
from common.http.wsgi import get_wsgi_application
application = get_wsgi_application()
print(sum(name.startswith(("opentelemetry", "google.protobuf")) for name in sys.modules))
"""


def imported(monkeypatch: pytest.MonkeyPatch, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `CODE`, which prints how many modules an application imports for tracing."""
    for name, value in (environment | {"DJANGO_SETTINGS_MODULE": "common.tests.settings"}).items():
        monkeypatch.setenv(name, value)
    return subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False)


def test_nothing_is_imported_while_tracing_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tracing.ENDPOINT, raising=False)
    assert imported(monkeypatch).stdout == "0\n"


def test_tracing_is_on_if_a_collector_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert int(imported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9").stdout) > 10


@pytest.mark.parametrize("rate", ["-1", "1.1", "all", "nan"])
def test_invalid_sampling_rate_aborts_startup(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    monkeypatch.setenv(tracing.RATE, rate)
    with pytest.raises(SystemExit, match=rf"^Invalid environment\. {tracing.RATE}: not a number from 0 to 1"):
        tracing.sampling_rate()


def test_missing_packages_abort_startup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SystemExit, match=rf"^Invalid environment\. {tracing.ENDPOINT}: the packages in"):
        tracing.start("web", "1")


def test_without_tracing_there_are_no_spans() -> None:
    assert isinstance(tracing.span("x"), nullcontext)
    assert (tracing.outgoing_headers(), tracing.exemplar()) == ({}, None)


def test_invalid_trace_state_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "any text"}
    TraceContextTextMapPropagator().extract(headers)
    assert not caplog.records


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_sampled_flag_from_the_client_decides_whether_a_request_is_recorded(flags: str, sampled: bool) -> None:
    traceparent = f"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"
    assert tracing.is_sampled("4bf92f3577b34da6a3ce929d0e0e4736", traceparent) is sampled


def test_request_that_is_not_sampled_passes_on_an_unsampled_traceparent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "is_on", lambda: True)
    monkeypatch.setattr(tracing, "is_sampled", lambda trace_id, traceparent: False)
    sent: list[dict[str, str]] = []

    def respond(request: HttpRequest) -> HttpResponse:
        sent.append(request_id.outgoing_headers())
        return HttpResponse()

    RequestIDMiddleware(TracingMiddleware(respond))(RequestFactory().get("/"))
    [headers] = sent
    assert re.fullmatch(f"00-{headers['X-Request-ID']}-[0-9a-f]{{16}}-00", headers["traceparent"])
