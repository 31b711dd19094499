"""Error pages for requests that gunicorn refuses before they reach Django."""

from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from tools.system import System

TIMEOUT = 10


def test_search_too_long_for_a_url_shows_an_error_page(system: System, page: Page) -> None:
    page.goto(f"{system.web}/search?search={'x' * 9000}")
    expect(page.get_by_role("heading", name="The address is too long")).to_be_visible()
    expect(page.get_by_text("search for a shorter text")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET", "headers": {"X-Large": "x" * 40_000}}, 431),
        ({"method": "GET", "headers": {"Expect": "nothing"}}, 417),
        ({"method": "POST", "data": b"x" * 70_000}, 413),
    ],
)
def test_refused_request_gets_a_page_from_web_and_json_from_the_apis(
    system: System, request_: dict[str, Any], status: int
) -> None:
    page = requests.request(url=system.web, timeout=TIMEOUT, **request_)
    assert page.status_code == status
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "</nav>" in page.text
    for url in (system.users, system.thoughts):
        answer = requests.request(url=url, timeout=TIMEOUT, **request_)
        assert answer.status_code == status
        assert answer.json()["message"]
