"""Fixtures: the running system that the tests send requests to.

By default, a fixture starts the system as `make run` does, but on free ports and with a temporary folder. If the
variables THOUGHTS_URL, USERS_URL and WEB_URL are set, the tests use the system with these URLs. This system is already
running, in a cluster or in Docker Compose.
"""

import json
import os
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, ConsoleMessage, Request, expect

from e2e.browser import User
from e2e.helpers import TIMEOUT
from tools.chromium import launch_options
from tools.system import System, start, stop

expect.set_options(timeout=TIMEOUT * 1000)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the installed Chromium."""
    return browser_type_launch_args | launch_options()


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return the system whose URLs are in the environment, or start a new one.

    The new system runs for the whole test session.
    """
    thoughts, users, web = (os.environ.get(f"{name}_URL", "").rstrip("/") for name in ("THOUGHTS", "USERS", "WEB"))
    if thoughts and users and web:
        yield System(thoughts, users, web)
        return
    started = start(tmp_path_factory.mktemp("system"))
    yield started
    stop(started)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system for the tests of one file. These tests may kill parts of it."""
    system = start(tmp_path_factory.mktemp("own"))
    yield system
    stop(system)


@pytest.fixture
def no_page_errors(context: BrowserContext, system: System) -> Iterator[None]:
    """Fail a test if a page logs an error or sends a request to another host.

    The browser also logs violations of the page's Content-Security-Policy as errors.
    """
    errors: list[str] = []

    def foreign(request: Request) -> None:
        if not re.match(r"(http://(localhost|127\.0\.0\.1|[a-z-]+\.localhost)(:\d+)?/|data:)", request.url):
            errors.append(request.url)

    def console(message: ConsoleMessage) -> None:
        # The console also reports a page with status 400 or 503 as an error, but some tests expect such pages.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    context.on("request", foreign)
    context.on("console", console)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.set_default_timeout(TIMEOUT * 1000)
    yield
    assert errors == []


@pytest.fixture(scope="session")
def admin(system: System) -> dict[str, str]:
    """Log in as the staff user and return the Authorization header."""
    answer = requests.post(f"{system.users}/api/login/", {"username": "admin", "password": "admin"}, timeout=TIMEOUT)
    return {"Authorization": answer.json()["Authorized"]}


@pytest.fixture
def new_user(system: System, admin: dict[str, str]) -> Callable[..., User]:
    """Return a function that creates an account and returns `(name, password)`."""

    def new_user(name: str = "") -> User:
        name, password = name or f"grace-{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(12)
        body = {"username": name, "password": password}
        assert requests.post(f"{system.users}/admin/users/", body, headers=admin, timeout=TIMEOUT).status_code == 201
        return name, password

    return new_user


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the results of the other steps again at the end of `make test`."""
    if "STEPS" in os.environ:
        terminalreporter.section("make test")
        for line in json.loads(Path(os.environ["STEPS"]).read_text()):
            terminalreporter.line(line)
