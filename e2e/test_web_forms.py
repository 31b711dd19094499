"""Fuzz the pages and forms of web with schemathesis.

The file web.openapi.yaml describes these pages and forms.
"""

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tools.local import ROOT
from tools.system import NO_LIMITS, System, start, stop

DESCRIPTION = ROOT / "e2e" / "web.openapi.yaml"
EXAMPLES = int(os.environ.get("EXAMPLES") or 25)  # the maximum number of requests for each operation and visitor
# In CI, each run sends the same requests, so a new failure points to a code change.
SEED = 1 if os.environ.get("CI") else None

config = schemathesis.Config.from_dict({"seed": SEED} if SEED else {})
schema = schemathesis.openapi.from_path(DESCRIPTION, config=config)


class Page(HTMLParser):
    """Parses a page. `tags` contains the start tags, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system without rate limits."""
    system = start(tmp_path_factory.mktemp("own"), **NO_LIMITS)
    yield system
    stop(system)


@pytest.fixture(params=["anonymous", "logged in", "logged in with invalid cookies", "logged in without a CSRF token"])
def visitor(own: System, request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    """Return the cookies and headers that a browser of this kind of visitor sends."""
    with requests.Session() as browser:
        page = browser.get(f"{own.web}/login/", timeout=10)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        if request.param != "anonymous":
            form = {"username": "bruce", "password": "bruce", "csrfmiddlewaretoken": token[1]}
            assert browser.post(f"{own.web}/login/", form, timeout=10).ok
        cookies = browser.cookies.get_dict()
    if "invalid" in request.param:
        cookies = {name: value if "csrf" in name else value[::-1] for name, value in cookies.items()}
    return {"cookies": cookies, "headers": {} if "without" in request.param else {"X-CSRFToken": token[1]}}


def is_a_page(context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Check that the answer is a page of web, or a redirect within the site.

    The answer must also have a strict Content-Security-Policy.
    """
    policy = response.headers.get("content-security-policy", [""])[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    if response.status_code == 302:
        [location] = response.headers["location"]
        assert re.match(r"/(?![/\\])", location), f"The redirect to {location} leaves the site."
        return
    tags = Page(response.text).tags
    assert ("nav", {"aria-label": "Main"}) in tags, "The page has no navigation."
    assert all((attributes.get("src") or "").startswith("/static/") for tag, attributes in tags if tag == "script")
    if response.status_code == 503:
        assert "service is temporarily unavailable" in response.text


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_with_a_page_or_a_redirect(
    case: schemathesis.Case, own: System, visitor: dict[str, dict[str, str]]
) -> None:
    response = case.call(base_url=own.web, allow_redirects=False, timeout=30, **visitor)
    case.validate_response(response, checks=[status_code_conformance, content_type_conformance, is_a_page])


def test_every_url_of_web_is_described() -> None:
    addresses = re.findall(r'\bpath\("([^"]*)"', (ROOT / "web" / "urls.py").read_text())
    described = re.findall(r"^  (/.*):$", DESCRIPTION.read_text(), re.MULTILINE)

    # Compare lists, not sets, because YAML silently ignores the first of two equal keys.
    assert sorted(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"/{address}") for address in addresses) == sorted(described)


def test_no_request_caused_an_exception(own: System) -> None:
    assert own.log
    assert "Traceback" not in own.log.read_text()
