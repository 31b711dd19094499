"""The cluster on which `make e2e-cluster` has deployed the local overlay."""

import os

import pytest

from tools.kubectl import Kubectl


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
