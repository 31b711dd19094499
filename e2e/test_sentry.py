"""Test the errors that the running system sends to Sentry.

Simulated faults cause the errors. The test acts as Sentry's server.
"""

from collections.abc import Iterator

import pytest
import requests

from common.tests.sentry_server import Server
from e2e.helpers import CANARY, form
from tools.system import System, start, stop, within

TIMEOUT = 60
PASSWORD = "zebra-quartz-4417"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        server.answering.set()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def own(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system that sends errors to the server."""
    system = start(tmp_path_factory.mktemp("own"), SENTRY_DSN=server.dsn, SENTRY_ENVIRONMENT="e2e", FAULTS="true")
    yield system
    stop(system)


def test_exception_in_each_service_is_an_event_without_private_data(own: System, server: Server) -> None:
    with requests.Session() as browser:
        assert form(browser, f"{own.web}/signup/", username=CANARY, password=PASSWORD).ok
        tokens = requests.post(f"{own.users}/api/login/", {"username": CANARY, "password": PASSWORD}, timeout=TIMEOUT)
        authorization = tokens.json()["Authorized"]
        secrets = {value for value in browser.cookies.values() if value} | {tokens.json()["refresh"]}
        secrets.add(authorization.removeprefix("Bearer "))
        private = {"User-Agent": CANARY, "Referer": f"http://localhost/{CANARY}", "Cookie": CANARY}
        authorized = {**private, "Authorization": authorization}
        answers = [
            requests.post(
                f"{own.users}/api/login/?x={CANARY}",
                {"username": CANARY, "password": PASSWORD},
                headers={**private, "X-Fault": "users-api=failing"},
                timeout=TIMEOUT,
            ),
            requests.post(
                f"{own.thoughts}/api/me/thoughts/?x={CANARY}",
                {"text": CANARY},
                headers={**authorized, "X-Fault": "thoughts-api=failing"},
                timeout=TIMEOUT,
            ),
            requests.delete(
                f"{own.thoughts}/api/me/thoughts/7654321/",
                headers={**authorized, "X-Fault": "thoughts-api=failing"},
                timeout=TIMEOUT,
            ),
            browser.get(
                f"{own.web}/search",
                params={"search": CANARY},
                headers={"X-Fault": "web=failing", "User-Agent": CANARY},
                timeout=TIMEOUT,
            ),
        ]
        assert [answer.status_code for answer in answers] == [500] * 4
        # web answers 503 while an API is down. web sends no event for this response.
        down = browser.get(f"{own.web}/search?search=x", headers={"X-Fault": "thoughts-api=down"}, timeout=TIMEOUT)
        assert down.status_code == 503
        last = browser.get(f"{own.web}/login/", headers={"X-Fault": "web=failing"}, timeout=TIMEOUT)
    assert within(TIMEOUT, lambda: len(server.bodies) >= 5)
    events = server.events()
    found = [
        (each["tags"]["service"], each["transaction"], each["tags"]["status"], each["tags"]["request_id"])
        for each in events
    ]
    names = [
        ("users-api", "POST /api/login/"),
        ("thoughts-api", "POST /api/me/thoughts/"),
        ("thoughts-api", "DELETE /api/me/thoughts/<int:id>/"),
        ("web", "GET /search"),
        ("web", "GET /login/"),
    ]
    ids = [answer.headers["X-Request-ID"] for answer in [*answers, last]]
    assert sorted(found) == sorted((*name, "500", identifier) for name, identifier in zip(names, ids, strict=True))
    for event in events:
        [error] = event["exception"]["values"]
        assert (error["type"], error["module"]) == ("SimulatedFault", "common.http.faults")
        assert event["environment"] == "e2e"
    sent = b"".join(server.bodies).decode() + "".join(server.heads)
    for text in (CANARY, PASSWORD, "7654321", "127.0.0.0/24", "This exception was requested", *secrets):
        assert text not in sent
    assert len(secrets) >= 4
