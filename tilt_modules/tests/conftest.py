"""Fixtures that evaluate the root Tiltfile with a fake Tilt."""

import json

import pytest

from tilt_modules.tests.tilt import Tilt
from tools.kubectl import NAMESPACE

SECRETS = {"items": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made", "namespace": NAMESPACE}}]}
PRINTS = {"cluster-secrets": json.dumps(SECRETS)}


@pytest.fixture(scope="session")
def tilt() -> Tilt:
    """Return the state of Tilt after `tilt up`."""
    return read()


def read(text: str | None = None, context: str = "kind-kind", hosting: str = "", **arguments: object) -> Tilt:
    """Evaluate the root Tiltfile, or `text` as if it were the root Tiltfile.

    `hosting` is the output of the command that asks the cluster for a local registry.
    """
    prints = {**PRINTS, "local-registry-hosting": hosting}
    return Tilt(context=context, prints=prints, arguments=arguments).read(text)
