"""Test the compressed size of a page and its files."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from web.tests.conftest import MINE, ONE, SEARCH, SESSIONS, Backend, session, thought

LIMIT = 12_000  # bytes
GZIP = {"Accept-Encoding": "gzip, deflate, br"}
WORDS = Path(__file__).read_text().split()


def text(number: int) -> str:
    """Return a different text of 250 characters for each number."""
    return " ".join(WORDS[number * 7 :] + WORDS)[:250]


@pytest.mark.parametrize(
    "path", ["/thoughts/", "/search", "/@bruce", "/thoughts/7", "/account/", "/nowhere", "/status"]
)
def test_page_with_its_files_is_at_most_12_kb(bruce: Client, backend: Backend, path: str) -> None:
    thoughts = [thought(1_000_000 + number, text=text(number)) for number in range(20)]
    backend.answer(MINE, 200, thoughts, Link='</?after=5>; rel="next", </?before=9>; rel="prev"')
    backend.answer(SEARCH, 200, thoughts, Link='</?after=5>; rel="next", </?before=9>; rel="prev"')
    backend.answer(ONE, 200, thought(7))
    backend.answer(SESSIONS, 200, [session(number) for number in range(20)])
    assert weight(bruce, path) <= LIMIT


def test_login_page_with_its_files_is_at_most_12_kb(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, [thought(number, text=text(number)) for number in range(5)])
    assert weight(visitor, "/login/") <= LIMIT


def weight(browser: Client, path: str) -> int:
    """Return the compressed size of a page and its files."""
    response = browser.get(path, headers=GZIP)
    assert response["Content-Encoding"] == "gzip"
    page = gzip.decompress(response.content).decode()
    files = set(re.findall(r'(?:href|src)="/static/([^"]+)"', page))
    assert {Path(name).suffix for name in files} == {".css", ".js", ".svg"}
    found = [Path(str(finders.find(name))) for name in files]
    return len(response.content) + sum(len(gzip.compress(file.read_bytes())) for file in found)


@pytest.mark.parametrize(
    ("header", "compressed"), [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("", False)]
)
def test_page_is_compressed_if_the_browser_accepts_it(
    visitor: Client, backend: Backend, header: str, compressed: bool
) -> None:
    response = visitor.get("/search", headers={"Accept-Encoding": header})
    assert ("Content-Encoding" in response) == compressed
    assert "Accept-Encoding" in response["Vary"]
    assert "Cookie" in response["Vary"]


def test_favicon_is_where_browsers_look_for_it(visitor: Client) -> None:
    response = visitor.get("/favicon.ico")
    assert response.status_code == 200
    assert response["Content-Type"] in ("image/vnd.microsoft.icon", "image/x-icon")
    assert response.getvalue().startswith(b"\x00\x00\x01\x00")
