import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from common.tests import signing


@pytest.fixture(autouse=True)
def loads(settings: Settings) -> list[str]:
    """Make our key the key set of each test; the list has an entry for each time that it was loaded."""
    calls: list[str] = []

    def load() -> object:
        calls.append("load")
        return signing.jwks("ours")

    settings.TOKENS_JWKS = load
    return calls


@pytest.fixture
def api() -> APIClient:
    """A client that shows a fault of ours as the 500 that a person would get."""
    return APIClient(raise_request_exception=False)
