"""Fixtures for a cluster with the local overlay, which `make e2e-cluster` deploys."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.conftest import browser_type_launch_args
from tools.kubectl import Kubectl

__all__ = ["browser_type_launch_args"]


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Return kubectl in the namespace of the overlay."""
    return Kubectl()


@pytest.fixture(scope="session")
def registry() -> str:
    """Return the registry from which the cluster pulls."""
    return os.environ["REGISTRY"]


@pytest.fixture(scope="session")
def tag() -> str:
    """Return the tag of the images of this run."""
    return os.environ["TAG"]


@contextmanager
def own_namespace(name: str) -> Iterator[Kubectl]:
    """Yield kubectl in a separate namespace.

    Delete it before and after, because an interrupted run leaves it.
    """
    kubectl, delete = Kubectl(namespace=name), ("delete", "namespace", name, "--ignore-not-found")
    kubectl(*delete)
    try:
        yield kubectl
    finally:
        kubectl(*delete)


def manage(kubectl: Kubectl, service: str, path: str) -> str:
    """Return a response from the management port of a pod."""
    code = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9000/{path}').read().decode())"
    return kubectl("exec", f"deployment/{service}", "--", "python", "-c", code)
