"""Test that the system's JSON log is complete and contains no private data.

The log must contain the security events, and a single trace id for each page. The tests send canaries (unusual words)
wherever a request can contain private data, then look for them in the log.
"""

import socket
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from e2e.helpers import CANARY, form, lines
from tools.system import System, answers, outage, start, stop, within

TIMEOUT = 30
PASSWORD = f"{CANARY}-wire"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system that logs JSON."""
    system = start(tmp_path_factory.mktemp("own"), LOG_FORMAT="json", FAULTS="true")
    yield system
    stop(system)


def raw(url: str, request: str) -> None:
    """Send bytes that are not a valid request."""
    address = urlsplit(url)
    with socket.create_connection(("127.0.0.1", address.port or 80), timeout=TIMEOUT) as connection:
        connection.sendall(request.encode())
        while connection.recv(65_536):
            pass


def use_apis(system: System) -> None:
    """Send canaries in successful and refused calls to both APIs."""
    users, thoughts = system.users, system.thoughts

    def post(url: str, **data: str) -> requests.Response:
        return requests.post(url, json=data, headers=authorization, timeout=TIMEOUT)

    authorization: dict[str, str] = {}
    assert post(f"{users}/api/users/", username="grace", password=PASSWORD).status_code == 201
    assert post(f"{users}/api/users/", username=CANARY, password="canary5b1f").status_code == 400
    assert post(f"{users}/api/login/", username="grace", password=f"{PASSWORD}!").status_code == 401
    assert post(f"{users}/api/login/", username=PASSWORD, password="x").status_code == 401
    tokens = post(f"{users}/api/login/", username="grace", password=PASSWORD).json()
    secrets.update([tokens["refresh"], tokens["Authorized"].removeprefix("Bearer ")])
    post(f"{users}/api/login/", username="grace", password=PASSWORD)  # a second session, which the password change ends
    authorization["Authorization"] = tokens["Authorized"]
    assert post(f"{users}/api/password/", old_password=PASSWORD, new_password=f"{PASSWORD}2").status_code == 204
    assert post(f"{users}/api/password/", old_password=PASSWORD, new_password="x").status_code == 400
    assert post(f"{users}/admin/users/", username="x", password=PASSWORD).status_code == 403
    assert post(f"{thoughts}/api/me/thoughts/", text=f"{CANARY} text").status_code == 201
    assert post(f"{thoughts}/api/me/thoughts/", text=CANARY * 30).status_code == 400
    search = {"search": CANARY}
    assert len(requests.get(f"{thoughts}/api/thoughts/", params=search, timeout=TIMEOUT).json()) == 1
    for query in (f"search={CANARY}&limit={CANARY}", f"search={CANARY}%00"):
        assert requests.get(f"{thoughts}/api/thoughts/?{query}", timeout=TIMEOUT).status_code == 400
    assert requests.get(f"{thoughts}/nothing?{CANARY}", timeout=TIMEOUT).status_code == 404
    assert requests.post(f"{thoughts}/api/me/thoughts/", data=f"{{{CANARY}", timeout=TIMEOUT).status_code in (400, 401)
    refreshed = post(f"{users}/api/token/refresh/", refresh=tokens["refresh"]).json()
    secrets.update([refreshed["refresh"], refreshed["Authorized"].removeprefix("Bearer ")])
    assert post(f"{users}/api/token/refresh/", refresh=CANARY).status_code == 401
    assert post(f"{users}/api/logout/", refresh=refreshed["refresh"]).status_code == 204
    authorization["Authorization"] = f"Bearer {CANARY}"
    assert post(f"{users}/api/password/", old_password=CANARY, new_password=CANARY).status_code == 401
    for url in (users, thoughts, system.web):
        raw(url, f"GET /x?{CANARY} HTTP/9.9\r\nAuthorization: {CANARY}\r\n\r\n")
        raw(url, f"{CANARY}\r\n\r\n")
        raw(url, f"GET /x?{CANARY} HTTP/1.1\r\nAuthorization {CANARY}\r\n\r\n")
        raw(url, f"GET /x?{CANARY} HTTP/1.1\r\nHost: {CANARY}.example\r\nConnection: close\r\nCookie: {CANARY}\r\n\r\n")
        raw(url, f"POST /x?{CANARY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: x{CANARY}\r\n\r\n")


def use_paths(system: System) -> None:
    """Send canaries in the paths of requests that fail."""
    web, users, thoughts = system.web, system.users, system.thoughts

    def status(method: str, url: str, fault: str = "") -> int:
        headers = {"X-Fault": fault} if fault else {}
        return requests.request(method, url, headers=headers, timeout=TIMEOUT).status_code

    for url in (web, users, thoughts):
        assert status("GET", f"{url}/{CANARY}") == 404
        host = f"{url.rpartition('/')[2]}"
        raw(url, f"GET /@{CANARY} HTTP/1.1\r\nHost: {host}\r\nX-Long: {'x' * 40_000}\r\n\r\n")
        raw(url, f"GET /{CANARY * 1000} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        raw(url, f"POST /@{CANARY} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n")
        raw(url, f"GET /{CANARY} HTTP/1.1\r\n\r\n")  # without a Host
    assert status("GET", f"{thoughts}/api/thoughts/eyJ{CANARY}") == 404
    assert status("GET", f"{web}/@{CANARY}", "thoughts-api=failing") == 503
    assert status("GET", f"{web}/@{CANARY}", "web=failing") == 500
    assert status("OPTIONS", f"{web}/@{CANARY}") == 405
    assert status("POST", f"{web}/@{CANARY}") == 403  # without a CSRF token
    assert status("POST", f"{users}/admin/users_api/user/{CANARY}/change/") == 403


def use_pages(system: System) -> None:
    """Send canaries in the forms of web and the admin."""
    web = system.web
    with requests.Session() as browser:
        assert form(browser, f"{web}/signup/", username="ada", password=PASSWORD).ok
        secrets.update(value for value in browser.cookies.values() if value and len(value) > 100)
        form(browser, f"{web}/thoughts/", text=CANARY)
        browser.get(f"{web}/search", params={"search": CANARY}, timeout=TIMEOUT)
        browser.post(f"{web}/thoughts/new", data={"text": CANARY}, timeout=TIMEOUT)  # without a CSRF token
        form(browser, f"{web}/account/", old_password=CANARY, new_password=CANARY)
        browser.get(f"{web}/nothing", params={"x": CANARY}, timeout=TIMEOUT)
        form(browser, f"{web}/logout/")
    with requests.Session() as browser:
        assert form(browser, f"{web}/login/", username="bruce", password=CANARY).status_code == 401
        assert form(browser, f"{system.users}/admin/login/", username=CANARY, password=CANARY).ok
        assert form(browser, f"{system.users}/admin/login/", username="admin", password="admin").ok
        form(browser, f"{system.users}/admin/users_api/user/add/", username="joan", password1=PASSWORD, password2="x")
        browser.get(f"{system.users}/admin/users_api/user/", params={"q": CANARY}, timeout=TIMEOUT)


secrets: set[str] = set()  # the tokens that the system has issued


def test_log_contains_no_private_data(own: System) -> None:
    use_apis(own)
    use_pages(own)
    use_paths(own)
    with outage(own, "thoughts_api"):
        search = requests.get(f"{own.web}/search", params={"search": CANARY}, timeout=TIMEOUT)
        assert search.status_code == 503
    assert within(TIMEOUT, lambda: bool(lines(own, status=503, route="/search")))
    assert own.log
    log = own.log.read_text(errors="replace")
    assert [line for line in log.splitlines() if CANARY in line or any(secret in line for secret in secrets)] == []
    assert len(secrets) >= 6
    # The exception that X-Fault causes is logged without its message.
    assert "This exception was requested" not in log
    errors = [line["exc_info"].splitlines()[-1] for line in lines(own, message="Internal Server Error")]
    assert "common.http.faults.SimulatedFault" in errors
    # The event loop, gunicorn and Django each refused requests. The log contains the client's network, not its address.
    refused = lines(own, route="unknown", network="127.0.0.0/24")
    assert {line.get("status") for line in refused} >= {404, 413, 431}
    messages = [line["message"] for line in lines(own, logger="gunicorn.error", network="127.0.0.0/24")]
    assert any(message.startswith("Invalid request from 127.0.0.0/24: ") for message in messages)
    assert not any("127.0.0.1" in message for message in messages)
    # The calls above caused these events, so the services did receive the canaries.
    expected = {
        "login.succeeded", "login.failed", "logout", "session.ended", "password.changed", "account.created",
        "access.refused",
    }  # fmt: skip
    assert {line.get("event") for line in lines(own)} >= expected


def test_log_line_of_a_request_has_all_fields(own: System) -> None:
    tokens = requests.post(f"{own.users}/api/login/", json={"username": "bruce", "password": "bruce"}, timeout=TIMEOUT)
    identifier = uuid.uuid4().hex
    headers = {"Authorization": tokens.json()["Authorized"], "X-Request-ID": identifier}
    sessions = requests.get(f"{own.users}/api/sessions/?x={CANARY}", headers=headers, timeout=TIMEOUT)
    assert within(TIMEOUT, lambda: bool(lines(own, request_id=identifier)))
    [line] = lines(own, request_id=identifier)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/sessions/", 200)
    assert line["bytes"] == len(sessions.content)
    assert line["duration_ms"] > 0
    assert (line["account"], line["network"], line["trace_id"]) == (1, "127.0.0.0/24", identifier)


def test_services_log_the_same_trace_id(own: System) -> None:
    # An earlier test killed thoughts_api. Wait until `make run` has restarted it.
    assert within(TIMEOUT, lambda: answers(f"{own.thoughts}/readyz"))
    identifier = requests.get(f"{own.web}/search?search=x", timeout=TIMEOUT).headers["X-Request-ID"]
    routes = {"/search", "/api/thoughts/"}
    assert within(TIMEOUT, lambda: {line.get("route") for line in lines(own, trace_id=identifier)} >= routes)
