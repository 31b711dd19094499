"""Test what users see while a service is slow, failing or down."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from common.http.faults import DELAY
from e2e.helpers import form
from tools.local import ROOT, Local
from tools.projects import PORTS
from tools.system import System, start, stop

TIMEOUT = 60
FAULTS = ("slow", "failing", "down")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system with FAULTS=true, as `make run` does.

    Before it starts, create a fault file for web, as if an earlier run had left it behind.
    """
    var = tmp_path_factory.mktemp("own")
    write(Local(var, PORTS).fault_file("web"), "failing")
    system = start(var, FAULTS="true")
    yield system
    stop(system)


@pytest.fixture(scope="module")
def visitor(own: System) -> Iterator[requests.Session]:
    """Return a session that is logged in to web."""
    with requests.Session() as session:
        assert form(session, f"{own.web}/login/", username="bruce", password="bruce").url == f"{own.web}/thoughts/"
        yield session


def file(system: System, project: str) -> Path:
    """Return the file that contains the fault of a project."""
    assert system.log
    return Local(system.log.parent, PORTS).fault_file(project)


def write(path: Path, fault: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(fault)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("service", "path", "name"),
    [
        ("thoughts-api", "/search?search=x", "thoughts"),
        ("thoughts-api", "/", "thoughts"),
        ("users-api", "/account/", "login"),
    ],
)
def test_page_is_degraded_while_an_api_has_a_fault(
    own: System, visitor: requests.Session, service: str, path: str, name: str, fault: str
) -> None:
    page = visitor.get(f"{own.web}{path}", headers={"X-Fault": f"{service}={fault}"}, timeout=TIMEOUT)
    assert page.status_code == 503
    assert f"The {name} service is temporarily unavailable." in page.text
    assert "<nav" in page.text
    assert visitor.get(f"{own.web}{path}", timeout=TIMEOUT).status_code == 200


def test_restart_ends_a_fault(own: System) -> None:
    assert not file(own, "web").exists()
    assert requests.get(f"{own.web}/search", timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_thought_is_kept_while_thoughts_api_has_a_fault(own: System, visitor: requests.Session, fault: str) -> None:
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', visitor.get(own.web, timeout=TIMEOUT).text)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "text": "a thought that must not get lost"}
    headers = {"X-Fault": f"thoughts-api={fault}"}
    page = visitor.post(f"{own.web}/thoughts/new", fields, headers=headers, timeout=TIMEOUT)
    assert page.status_code == 503
    assert "a thought that must not get lost</textarea>" in page.text


@pytest.mark.parametrize("project", ["users_api", "thoughts_api", "web"])
def test_service_with_a_fault_is_slow_fails_or_closes_the_connection(own: System, project: str) -> None:
    url = {"users_api": f"{own.users}/.well-known/jwks.json", "thoughts_api": f"{own.thoughts}/api/thoughts/"}.get(
        project, f"{own.web}/search"
    )

    def get(fault: str) -> requests.Response:
        headers = {"X-Fault": f"{project.replace('_', '-')}={fault}"}
        return requests.get(url, headers=headers, timeout=TIMEOUT)

    slow = get("slow")
    assert slow.status_code == 200
    assert slow.elapsed.total_seconds() >= DELAY
    failing = get("failing")
    assert failing.status_code == 500
    expected = "This is our fault." if project == "web" else '{"message": "Something went wrong on our side."}'
    assert expected in failing.text
    with pytest.raises(requests.ConnectionError):
        get("down")
    assert own.log
    assert "Socket error" not in own.log.read_text()
    wrong = get("broken")
    assert (wrong.status_code, wrong.json()["errors"]) == (400, {})


@pytest.mark.parametrize("fault", FAULTS)
def test_file_causes_a_fault_but_the_service_stays_ready(own: System, visitor: requests.Session, fault: str) -> None:
    write(file(own, "thoughts_api"), fault)
    try:
        assert visitor.get(f"{own.web}/search?search=x", timeout=TIMEOUT).status_code == 503
        for path in ("/healthz", "/readyz"):
            assert requests.get(f"{own.thoughts}{path}", timeout=TIMEOUT).status_code == 200
    finally:
        write(file(own, "thoughts_api"), "normal")
    assert visitor.get(f"{own.web}/search?search=x", timeout=TIMEOUT).status_code == 200


def test_services_refuse_to_start_if_faults_and_behind_tls_are_both_set(tmp_path: Path) -> None:
    local = Local(tmp_path, PORTS)
    local.make_secrets()
    for project in PORTS:
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", f"{project}.wsgi"]
        environment = {**local.environment(project), "PORT": "0", "FAULTS": "true", "BEHIND_TLS": "true"}
        done = subprocess.run(
            gunicorn, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode
        assert "Invalid environment. FAULTS: not allowed with BEHIND_TLS" in done.stderr
        assert "Traceback" not in done.stderr


def test_fault_header_has_no_effect_without_the_setting_faults(system: System) -> None:
    headers = {"X-Fault": "web=failing, thoughts-api=failing"}
    assert requests.get(f"{system.web}/search?search=x", headers=headers, timeout=TIMEOUT).status_code == 200
