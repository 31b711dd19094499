"""Fixtures with the rendered overlays."""

import functools

import pytest

from k8s.tests.manifests.objects import K8S, Overlay
from tools import kustomize


@functools.cache
def rendered(name: str) -> Overlay:
    return Overlay(name, kustomize.render(K8S / "overlays" / name))


@pytest.fixture(params=sorted(path.name for path in (K8S / "overlays").iterdir()))
def overlay(request: pytest.FixtureRequest) -> Overlay:
    """Return an overlay. The test runs once for each overlay."""
    return rendered(request.param)


@pytest.fixture
def local() -> Overlay:
    return rendered("local")


@pytest.fixture
def production() -> Overlay:
    return rendered("production")
