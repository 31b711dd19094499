import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from common.tests import signing


@pytest.fixture(autouse=True)
def key_set(settings: Settings) -> None:
    """Make the API verify tokens with the test key in `signing`."""
    settings.TOKENS_JWKS = lambda: signing.jwks("ours")


def client(username: str) -> APIClient:
    """Return a test client that sends a token of this user."""
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {signing.token(username=username)}")
    return api


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient()


@pytest.fixture
def bruce() -> APIClient:
    return client("bruce")


@pytest.fixture
def stephen() -> APIClient:
    return client("stephen")
