"""Test how the request id and the trace context are read, generated and passed on."""

import logging

import pytest
from django.test import Client, RequestFactory
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from common.http import request_id

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_request_id_from_the_client_is_used_and_returned(api: Client) -> None:
    response = api.get("/open/", headers={"X-Request-ID": "abc-1.2_3"})
    assert response["X-Request-ID"] == "abc-1.2_3"
    assert response.json()["headers"] == {"X-Request-ID": "abc-1.2_3"}


def test_request_without_an_id_gets_a_new_one(api: Client) -> None:
    first, second = (api.get("/open/")["X-Request-ID"] for _ in range(2))
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize("given", ["", "a b", "a\nb", "x" * 65, "ä", "<script>", "a,b", "\x1b[31m", "%00"])
def test_unsafe_request_id_is_replaced(api: Client, given: str) -> None:
    response = api.get("/open/", HTTP_X_REQUEST_ID=given)
    assert len(response["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", ["/healthz", "/nothing/", "/boom/", "/me/", "/raise/fault/"])
def test_every_response_has_a_request_id(api: Client, path: str) -> None:
    assert api.get(path, headers={"X-Request-ID": "abc"})["X-Request-ID"] == "abc"


def test_trace_context_is_passed_on(api: Client) -> None:
    headers = {"X-Request-ID": "abc", "traceparent": TRACEPARENT, "tracestate": "vendor=1"}
    assert api.get("/open/", headers=headers).json()["headers"] == headers


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        TRACEPARENT.upper(),
        f"{TRACEPARENT}-extra",
        TRACEPARENT + "\n",
        f"ff{TRACEPARENT[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_invalid_trace_context_is_dropped(api: Client, traceparent: str) -> None:
    # W3C Trace Context section 3.3: tracestate is valid only together with a valid traceparent.
    response = api.get("/open/", HTTP_TRACEPARENT=traceparent, HTTP_TRACESTATE="vendor=1")
    assert list(response.json()["headers"]) == ["X-Request-ID"]


@pytest.mark.parametrize("tracestate", ["", "x" * 513, "a=\n", "ä=1"])
def test_invalid_trace_state_is_dropped(api: Client, tracestate: str) -> None:
    response = api.get("/open/", HTTP_TRACEPARENT=TRACEPARENT, HTTP_TRACESTATE=tracestate)
    assert list(response.json()["headers"]) == ["X-Request-ID", "traceparent"]


def test_log_record_has_the_request_id(api: Client) -> None:
    record = logging.LogRecord("name", logging.INFO, "", 0, "message", None, None)
    api.get("/open/", headers={"X-Request-ID": "abc"})
    assert request_id.LogFilter().filter(record)
    assert record.__dict__["request_id"] == "abc"


def test_outgoing_headers_are_a_copy(api: Client) -> None:
    api.get("/open/", headers={"X-Request-ID": "abc"})
    request_id.outgoing_headers()["X-Request-ID"] = "changed"
    assert request_id.outgoing_headers() == {"X-Request-ID": "abc"}


@pytest.mark.parametrize("given", ["", "8e7b2bd1-37cd-4f0a-9d0e-0f8f4c3f3f4a"])
def test_sampling_rate_of_ten_percent_selects_a_tenth_of_the_traces(given: str) -> None:
    sampler, sampled = TraceIdRatioBased(0.1), 0
    for number in range(2000):
        request_id.begin(RequestFactory().get("/", headers={"X-Request-ID": given and f"{given}-{number}"}))
        trace_id = int(request_id.trace_id(), 16)
        sampled += sampler.should_sample(None, trace_id, "GET").decision.is_sampled()
    assert 100 < sampled < 300  # with random ids, the chance of a number outside this range is below 10**-12
