"""Test how faults are enabled and chosen, and how each fault affects a request."""

import errno
from pathlib import Path

import pytest
from django.http import HttpRequest
from django.test import Client
from pytest_django import Settings

from common import settings as common
from common.http import faults, request_id
from common.http.faults import Fault


@pytest.fixture
def file(settings: Settings, tmp_path: Path) -> Path:
    """Enable faults.

    Return the path of the file that contains the fault of this service, whose name is `common`.
    """
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *common.fault_middleware(True, False)]
    settings.FAULTS_PATH = tmp_path / "fault"
    return tmp_path / "fault"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the durations of sleeps instead of sleeping."""
    durations: list[float] = []
    monkeypatch.setattr("common.http.faults.time.sleep", durations.append)
    return durations


def test_slow_service_waits_then_answers(file: Path, slept: list[float], api: Client) -> None:
    assert api.get("/open/", headers={"X-Fault": "common=slow"}).status_code == 200
    assert slept == [faults.DELAY]


def test_failing_service_answers_500_and_logs_the_exception(
    file: Path, api: Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api.get("/open/", headers={"X-Fault": "common=failing"})
    assert (answer.status_code, answer.json()) == (500, {"message": "Something went wrong on our side."})
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.exc_info
    assert record.exc_info[0] is faults.SimulatedFault


def test_service_that_is_down_raises_before_the_first_byte_of_the_body(file: Path, api: Client) -> None:
    answer = api.get("/open/", headers={"X-Fault": "common=down"})
    assert answer.status_code == 503
    with pytest.raises(ConnectionResetError) as error:
        next(iter(answer))
    assert error.value.errno == errno.ECONNRESET  # gunicorn logs a traceback for an error without an errno


def test_fault_for_another_service_has_no_effect_here(file: Path, slept: list[float], api: Client) -> None:
    assert api.get("/open/", headers={"X-Fault": "web=down, users-api=failing"}).status_code == 200
    assert slept == []


def test_header_is_passed_on_to_other_services(file: Path, api: Client) -> None:
    passed = api.get("/open/", headers={"X-Fault": "web=down"}).json()["headers"]
    assert passed["X-Fault"] == "web=down"
    assert "X-Fault" not in api.get("/open/").json()["headers"]


@pytest.mark.parametrize(
    "header",
    [
        "slow",
        "common=broken",
        "common:slow",
        "=slow",
        "common=slow,",
        "Common=slow",
        "\xa0common=normal",
        ",".join(["common=slow"] * 11),
    ],
)
def test_invalid_header_is_400_and_lists_the_faults(file: Path, api: Client, header: str) -> None:
    answer = api.get("/open/", headers={"X-Fault": header})
    assert answer.status_code == 400
    assert answer.json() == {"message": faults.ALLOWED, "errors": {}}
    assert "normal, slow, failing, down" in faults.ALLOWED


def test_file_applies_to_all_requests_until_it_changes(file: Path, api: Client) -> None:
    assert api.get("/open/").status_code == 200
    file.write_text("failing\n")
    assert [api.get("/open/").status_code for _ in range(2)] == [500, 500]
    assert api.get("/open/", headers={"X-Fault": "common=normal"}).status_code == 200
    for word in ("normal", "broken"):
        file.write_text(word)
        assert api.get("/open/").status_code == 200


@pytest.mark.parametrize("fault", Fault)
def test_probes_are_not_affected(file: Path, api: Client, fault: Fault) -> None:
    file.write_text(fault)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert api.get(path).status_code == 200


def test_header_has_no_effect_without_the_setting(api: Client) -> None:
    answer = api.get("/open/", headers={"X-Fault": "common=failing"})
    assert answer.status_code == 200
    assert "X-Fault" not in answer.json()["headers"]
    assert api.get("/open/", headers={"X-Fault": "broken"}).status_code == 200
    assert common.fault_middleware(False, False) == common.fault_middleware(False, True) == []


def test_faults_behind_tls_abort_startup() -> None:
    with pytest.raises(SystemExit, match=r"^Invalid environment\. FAULTS: not allowed with BEHIND_TLS$"):
        common.fault_middleware(True, True)


def test_a_request_does_not_inherit_an_outgoing_header_of_the_previous_request() -> None:
    request_id.begin(HttpRequest())
    request_id.add_outgoing_header("X-Fault", "web=down")
    assert request_id.outgoing_headers()["X-Fault"] == "web=down"
    request_id.begin(HttpRequest())
    assert "X-Fault" not in request_id.outgoing_headers()
