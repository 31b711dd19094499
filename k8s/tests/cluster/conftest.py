"""The cluster on which `make e2e-cluster` has deployed the local overlay."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.conftest import browser_type_launch_args
from tools.kubectl import Kubectl

__all__ = ["browser_type_launch_args"]


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """kubectl in the namespace of the overlay."""
    return Kubectl()


@pytest.fixture(scope="session")
def registry() -> str:
    """The registry from which the cluster pulls."""
    return os.environ["REGISTRY"]


@pytest.fixture(scope="session")
def tag() -> str:
    """The tag of the three images that were pushed for this run."""
    return os.environ["TAG"]


@contextmanager
def own_namespace(name: str) -> Iterator[Kubectl]:
    """kubectl in a namespace of a test's own, which is deleted before, where an interrupted run left it, and after."""
    kubectl, delete = Kubectl(namespace=name), ("delete", "namespace", name, "--ignore-not-found")
    kubectl(*delete)
    try:
        yield kubectl
    finally:
        kubectl(*delete)


def manage(kubectl: Kubectl, service: str, path: str) -> str:
    """Return what a pod of a service answers on its management port, to which no Service leads."""
    code = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9000/{path}').read().decode())"
    return kubectl("exec", f"deployment/{service}", "--", "python", "-c", code)
