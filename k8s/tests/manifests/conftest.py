"""Fixtures with the rendered overlays."""

import functools

import pytest

from k8s.tests.manifests.objects import K8S, Overlay
from tools import kustomize


@functools.cache
def rendered(name: str) -> Overlay:
    return Overlay(name, kustomize.render(K8S / "overlays" / name))


# test_observability.py tests this overlay, because some pods in it do not run our images.
OBSERVABILITY = "local-observability"
OVERLAYS = sorted({path.name for path in (K8S / "overlays").iterdir()} - {OBSERVABILITY})


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Overlay:
    """Return an overlay. The test runs once for each overlay."""
    return rendered(request.param)


@pytest.fixture
def local() -> Overlay:
    return rendered("local")


@pytest.fixture
def observed() -> Overlay:
    """Return the overlay that `tilt up -- --observability` deploys."""
    return rendered(OBSERVABILITY)


@pytest.fixture
def production() -> Overlay:
    return rendered("production")
