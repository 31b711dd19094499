"""Fixtures for tests in a cluster.

`make e2e-cluster` deploys the local overlay before it runs these tests.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tools.chromium import launch_options
from tools.kubectl import Kubectl
from tools.system import within

expect.set_options(timeout=30_000)  # milliseconds; the browser and the cluster may share a busy machine


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the installed Chromium."""
    return browser_type_launch_args | launch_options()


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return a kubectl that uses the namespace of the local overlay."""
    return Kubectl()


@pytest.fixture(scope="session")
def registry() -> str:
    """Return the registry from which the cluster pulls images."""
    return os.environ["REGISTRY"]


@pytest.fixture(scope="session")
def tag() -> str:
    """Return the tag of the images that this test run built."""
    return os.environ["TAG"]


@contextmanager
def own_namespace(name: str) -> Iterator[Kubectl]:
    """Yield a kubectl that uses a separate namespace. Delete the namespace afterwards.

    Also delete the namespace first, because an interrupted test run may have left it behind.
    """
    kubectl, delete = Kubectl(namespace=name), ("delete", "namespace", name, "--ignore-not-found")
    kubectl(*delete)
    try:
        yield kubectl
    finally:
        kubectl(*delete)


def wait(condition: Callable[[], bool], timeout: float = 180) -> None:
    """Wait until the condition is true. Fail after `timeout` seconds."""
    assert within(timeout, condition, pause=0.5), f"The condition was still false after {timeout} seconds."


def wait_for_status(url: str, status: int = 200, session: requests.Session | None = None) -> None:
    """Wait until a GET request is answered with this status. Fail after a minute.

    The ingress controller needs a moment to find new pods. Until then, it answers with an error of its own, or it sends
    requests to a pod that no longer exists. Such a request times out.
    """

    def answered() -> bool:
        try:
            return (session or requests).get(url, timeout=3).status_code == status
        except requests.RequestException:
            return False

    wait(answered, timeout=60)


def manage(kubectl: Kubectl, service: str, path: str) -> str:
    """Return the body of a response from the management port of a service's pod."""
    code = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9000/{path}').read().decode())"
    return kubectl("exec", f"deployment/{service}", "--", "python", "-c", code)
