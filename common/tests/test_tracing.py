"""Test that tracing is off by default, and that its settings are checked."""

import subprocess
import sys
from contextlib import nullcontext

import pytest

from common import tracing
from common.settings import ROOT

CODE = """
import sys
from common.http.wsgi import get_wsgi_application
application = get_wsgi_application()
print(sum(name.startswith(("opentelemetry", "google.protobuf")) for name in sys.modules))
"""


def imported(monkeypatch: pytest.MonkeyPatch, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Load an application in a process that prints how many modules it imported for tracing and error tracking."""
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
