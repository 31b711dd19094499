import hypothesis
import pytest
from django.test import Client
from pytest_django import Settings

from common.http.wsgi import UTF8Request
from common.tests import signing

# How long one example takes says nothing on a machine that is busy with other tests.
hypothesis.settings.register_profile(
    "tests", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def loads(settings: Settings) -> list[str]:
    """Make our key the key set of each test; the list has an entry for each load."""
    calls: list[str] = []

    def load() -> object:
        calls.append("load")
        return signing.jwks("ours")

    settings.TOKENS_JWKS = load
    return calls


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client that shows a fault of ours as the 500 that a person would get."""
    # Django's test client has a handler of its own.
    monkeypatch.setattr("django.test.client.WSGIRequest", UTF8Request)
    return Client(raise_request_exception=False)
