import hypothesis
import pytest
from django.test import Client
from pytest_django import Settings

from common.http.wsgi import UTF8Request
from common.tests import signing

# Set no deadline for Hypothesis's examples, because other tests may slow the machine down.
hypothesis.settings.register_profile(
    "tests", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def loads(settings: Settings) -> list[str]:
    """Use a key set with the key "ours" in each test.

    Return a list with one entry per load of the set.
    """
    calls: list[str] = []

    def load() -> object:
        calls.append("load")
        return signing.jwks("ours")

    settings.TOKENS_JWKS = load
    return calls


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a client that turns an exception into a 500 response."""
    # Django's test client does not use our WSGI handler, which sets this request class.
    monkeypatch.setattr("django.test.client.WSGIRequest", UTF8Request)
    return Client(raise_request_exception=False)
