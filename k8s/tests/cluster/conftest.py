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


def get(kubectl: Kubectl, service: str, path: str) -> str:
    """Return what a Service answers to a pod of the cluster; the API server's own proxy says for whom it asks."""
    code = f"import urllib.request; print(urllib.request.urlopen('http://{service}/{path}').read().decode())"
    return kubectl("exec", "deployment/web", "--", "python", "-c", code)
