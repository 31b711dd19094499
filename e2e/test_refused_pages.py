"""Error pages for requests that gunicorn refuses before they reach Django."""

import socket
import time
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Page, expect

from tools.system import System

TIMEOUT = 10


def send(url: str, *pieces: bytes) -> tuple[HTTPResponse, str]:
    """Send a request in pieces, and return the response and the response's body."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.02)  # otherwise, the server may receive two pieces at once
        response = HTTPResponse(client)
        response.begin()
        return response, response.read().decode()


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


@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("size", [9_000, 20_000, 40_000, 100_000])
def test_search_too_long_for_a_url_is_414_however_it_arrives(system: System, size: int, pieces: int) -> None:
    request_ = f"GET /search?search={'x' * size} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    step = -(-len(request_) // pieces)
    response, text = send(system.web, *(request_[start : start + step] for start in range(0, len(request_), step)))
    assert response.status == 414
    assert "Search for a shorter text." in text


@pytest.mark.parametrize("project", ["thoughts", "users", "web"])
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n", 413),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: nothing\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ],
    ids=["nonsense", "no Host", "body", "line", "Expect", "headers", "coding"],
)
def test_refusal_has_security_headers(system: System, project: str, request_: bytes, status: int) -> None:
    response, _ = send(getattr(system, project), request_)
    assert response.status == status
    policy = (response.headers["Content-Security-Policy"] or "").split("; ")
    assert {"default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= {*policy}
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"
