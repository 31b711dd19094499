"""Test that the code on an error page is the id of the request in the log."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

from e2e.browser import Findings
from e2e.helpers import form, lines
from tools import scratch
from tools.system import System, kill, start, stop, within

TIMEOUT = 30


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system that cannot render the page /logout/.

    The system logs JSON, and refuses logins after one failure.
    """
    tree = scratch.copy(tmp_path_factory.mktemp("tree"))
    # Django looks for the included template, which does not exist, only when it renders the page.
    change(tree / "web" / "templates" / "logout.html", "<h1>", "{% include missing %}<h1>")
    change(tree / "tools" / "run.py", "RESTART_AFTER = 3.0", "RESTART_AFTER = 3600.0")
    system = start(tmp_path_factory.mktemp("own"), tree, LOG_FORMAT="json", LOGIN_FAILURES_PER_NAME="1")
    yield system
    stop(system)


def change(file: Path, before: str, after: str) -> None:
    """Replace text in a file."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def code(response: requests.Response) -> str:
    """Return the code on an error page."""
    (found,) = re.findall(r"tell us this code: <code>(\w+)</code>", response.text)
    assert found == response.headers["X-Request-ID"]
    return str(found)


def wait_for(system: System, request_id: str, loggers: set[str]) -> None:
    """Wait until these loggers have logged lines with this request id.

    Assert that the trace id of these lines is the request id.
    """
    assert within(TIMEOUT, lambda: {line["logger"] for line in lines(system, request_id=request_id)} >= loggers)
    assert {line.get("trace_id") for line in lines(system, request_id=request_id)} == {request_id}


def test_code_of_a_500_is_logged_with_the_exception(own: System) -> None:
    response = requests.get(f"{own.web}/logout/", timeout=TIMEOUT)
    assert response.status_code == 500
    wait_for(own, code(response), {"django.request", "gunicorn.access"})
    (line,) = lines(own, request_id=code(response), logger="django.request")
    assert "TemplateDoesNotExist" in line["exc_info"]


def test_code_of_a_refused_login_is_in_the_log_of_the_api(own: System) -> None:
    with requests.Session() as browser:
        login = {"username": "bruce", "password": "not-the-password"}
        assert form(browser, f"{own.web}/login/", **login).status_code == 401
        response = form(browser, f"{own.web}/login/", **login)
    assert response.status_code == 429
    wait_for(own, code(response), {"django.request", "gunicorn.access"})
    routes = {"/login/", "/api/login/"}
    assert within(TIMEOUT, lambda: {line.get("route") for line in lines(own, request_id=code(response))} >= routes)
    assert lines(own, request_id=code(response), event="login.limited")


@pytest.fixture(scope="module")
def outage(own: System) -> None:
    """Kill thoughts_api. `tools.run` does not restart it during these tests."""
    kill(own, "thoughts_api")


def test_code_of_a_503_is_logged_with_the_failed_call(own: System, outage: None) -> None:
    response = requests.get(f"{own.web}/thoughts/1", timeout=TIMEOUT)
    assert response.status_code == 503
    wait_for(own, code(response), {"web.backends.http", "django.request", "gunicorn.access"})


def test_status_checks_in_threads_log_the_request_id_of_the_page(own: System, outage: None) -> None:
    identifiers: set[str] = set()
    found: list[dict[str, Any]] = []

    def check() -> bool:
        # Within five seconds of a check, the page shows the earlier result and calls no service.
        page = requests.get(f"{own.web}/status", timeout=TIMEOUT)
        assert page.status_code == 200
        identifiers.add(page.headers["X-Request-ID"])
        found[:] = [line for line in lines(own, logger="web.backends.http") if line["request_id"] in identifiers]
        return bool(found)

    assert within(TIMEOUT, check)
    assert [line["trace_id"] for line in found] == [line["request_id"] for line in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_visitor_finds_out_which_service_is_down(browser: Browser, own: System, outage: None, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme)
    look = Findings()
    page.goto(f"{own.web}/thoughts/1")
    look(page, "error page")
    page.get_by_role("main").locator("code").click()
    selected = page.evaluate("getSelection().toString()")
    assert selected == page.locator("code").inner_text()
    assert within(TIMEOUT, lambda: bool(lines(own, request_id=selected, logger="web.backends.http")))
    # On a busy machine, the check of users_api may fail too. Wait until only the check of thoughts_api fails.
    url = f"{own.web}/status"
    assert within(TIMEOUT, lambda: requests.get(url, timeout=TIMEOUT).text.count(">Works</span>") == 2)
    page.get_by_role("main").get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Some things do not work right now")).to_be_visible()
    states = page.get_by_role("main").get_by_role("listitem").locator(".badge")
    expect(states).to_have_text(["Works", "Does not answer", "Works"])
    look(page, "status page")
    page.goto(f"{own.web}/search")
    look(page, "error in a page")
    assert look.found == []
    page.close()
