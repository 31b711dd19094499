"""Fixtures for tests in a cluster. `make e2e-cluster` deploys the local overlay before it runs these tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.conftest import browser_type_launch_args
from tools.kubectl import Kubectl

__all__ = ["browser_type_launch_args"]


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


def manage(kubectl: Kubectl, service: str, path: str) -> str:
    """Return the body of a response from the management port of a service's pod."""
    code = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9000/{path}').read().decode())"
    return kubectl("exec", f"deployment/{service}", "--", "python", "-c", code)
