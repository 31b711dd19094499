"""Test the compression of static files, and their Content-Length in development."""

import gzip
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings
from whitenoise import responders

from common.http.middleware import WhiteNoiseMiddleware


@pytest.fixture
def middleware(settings: Settings, tmp_path: Path) -> WhiteNoiseMiddleware:
    """Return the middleware in development mode, with one static file."""
    settings.STATIC_URL = "static/"
    settings.STATICFILES_DIRS = [tmp_path]
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True
    (tmp_path / "style.css").write_text("old")
    return WhiteNoiseMiddleware(lambda request: HttpResponse("no static file"))


def test_file_replaced_during_a_request_is_sent_completely(
    middleware: WhiteNoiseMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(path: str, mode: str) -> Any:
        Path(path).write_text("new and longer")
        return open(path, mode)

    monkeypatch.setattr(responders, "open", replace, raising=False)
    response: Any = middleware(RequestFactory().get("/static/style.css"))
    assert (response["Content-Length"], response.content) == ("14", b"new and longer")
    assert response["Content-Type"] == 'text/css; charset="utf-8"'


def test_responses_without_a_body_have_the_correct_content_length(middleware: WhiteNoiseMiddleware) -> None:
    head = middleware(RequestFactory().head("/static/style.css"))
    assert head.headers["Content-Length"] == "3"
    unchanged = middleware(RequestFactory().get("/static/style.css", headers={"If-None-Match": head.headers["ETag"]}))
    assert unchanged.status_code == 304
    assert "Content-Length" not in unchanged.headers


def test_unknown_file_is_passed_to_the_next_middleware(middleware: WhiteNoiseMiddleware) -> None:
    response: Any = middleware(RequestFactory().get("/static/missing.css"))
    assert response.content == b"no static file"


@pytest.mark.parametrize(
    ("header", "compressed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("gzip, deflate, br", True),
        ("gzip;q=0.5, identity;q=0.1", True),
        ("identity;q=0, gzip", True),
        ("*;q=0, gzip", True),
        ("gzip ; q=1", True),
        ("deflate;q=0, gzip;q=1.0", True),
        ("", False),
        ("*", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0", False),
        ("gzip;q=0.000", False),
        ("gzip ; Q = 0", False),
        ("gzip;q=", False),
        ("gzip;q=nonsense", False),
        ("br, gzip;q=0, *", False),
        ("*;q=0", False),
        # No coding is acceptable, so the file is sent uncompressed (RFC 9110 section 12.5.3).
        ("identity;q=0", False),
        ("identity;q=0, *;q=0", False),
        (",;,=", False),
    ],
)
def test_file_is_compressed_only_if_the_client_accepts_it(
    settings: Settings, tmp_path: Path, header: str, compressed: bool
) -> None:
    settings.STATIC_URL, settings.STATIC_ROOT = "static/", tmp_path
    (tmp_path / "style.css").write_text("a" * 100)
    (tmp_path / "style.css.gz").write_bytes(gzip.compress(b"a" * 100))
    middleware = WhiteNoiseMiddleware(lambda request: HttpResponse("no static file"))
    response: Any = middleware(RequestFactory().get("/static/style.css", headers={"Accept-Encoding": header}))
    assert (response.headers.get("Content-Encoding") == "gzip") == compressed
    assert response.headers["Vary"] == "Accept-Encoding"
    with closing(response):
        content = response.getvalue()
    assert (gzip.decompress(content) if compressed else content) == b"a" * 100
