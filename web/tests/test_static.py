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
    """The middleware as in development, with one folder of static files."""
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True
    settings.STATICFILES_DIRS = [tmp_path]
    return WhiteNoiseMiddleware(lambda request: HttpResponse("no static file"))


def test_a_file_that_is_replaced_while_it_is_asked_for_is_sent_whole(
    middleware: WhiteNoiseMiddleware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(path: str, mode: str) -> Any:
        Path(path).write_text("new and longer")
        return open(path, mode)

    (tmp_path / "style.css").write_text("old")
    monkeypatch.setattr(responders, "open", replace, raising=False)
    response = middleware(RequestFactory().get("/static/style.css"))
    assert (response["Content-Length"], response.getvalue()) == ("14", b"new and longer")
