"""Static files in development, where a live update may replace one at any moment."""

from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings
from whitenoise import responders

from common.middleware import WhiteNoiseMiddleware


@pytest.fixture
def middleware(settings: Settings, tmp_path: Path) -> WhiteNoiseMiddleware:
    """The middleware as in development, with one static file."""
    settings.STATIC_URL = "static/"
    settings.STATICFILES_DIRS = [tmp_path]
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True
    (tmp_path / "style.css").write_text("old")
    return WhiteNoiseMiddleware(lambda request: HttpResponse("no static file"))


def test_a_file_that_is_replaced_while_it_is_asked_for_is_sent_whole(
    middleware: WhiteNoiseMiddleware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(path: str, mode: str) -> Any:
        Path(path).write_text("new and longer")
        return open(path, mode)

    monkeypatch.setattr(responders, "open", replace, raising=False)
    response: Any = middleware(RequestFactory().get("/static/style.css"))
    assert (response["Content-Length"], response.content) == ("14", b"new and longer")
    assert response["Content-Type"] == 'text/css; charset="utf-8"'


def test_without_a_body_the_length_is_that_of_the_file_or_none(middleware: WhiteNoiseMiddleware) -> None:
    head = middleware(RequestFactory().head("/static/style.css"))
    assert head.headers["Content-Length"] == "3"
    unchanged = middleware(RequestFactory().get("/static/style.css", headers={"If-None-Match": head.headers["ETag"]}))
    assert unchanged.status_code == 304
    assert "Content-Length" not in unchanged.headers


def test_what_is_no_static_file_is_passed_on(middleware: WhiteNoiseMiddleware) -> None:
    response: Any = middleware(RequestFactory().get("/static/missing.css"))
    assert response.content == b"no static file"
