"""Test the responses to requests that never reach Django."""

import http.client
from io import BytesIO
from unittest.mock import MagicMock

import pytest
from django.http import HttpResponse
from pytest_django import Settings

from common.server import errors


def page(status: int, message: str) -> HttpResponse:
    """Return an HTML page, as the setting SERVER_ERROR of web does."""
    return HttpResponse("<p>Refused", status=status)


@pytest.mark.parametrize("render", ["common.server.errors.as_json", "common.tests.test_server_errors.page"])
@pytest.mark.parametrize("behind_tls", [False, True])
def test_refusal_has_the_security_headers_of_the_settings(settings: Settings, render: str, behind_tls: bool) -> None:
    settings.SERVER_ERROR = render
    settings.CONTENT_SECURITY_POLICY = "default-src 'none'"
    settings.SECURE_REFERRER_POLICY = "no-referrer"
    if behind_tls:
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        settings.SECURE_HSTS_SECONDS = 300
    errors._error.cache_clear()
    client = MagicMock()
    errors.write_error(client, 414, "URI Too Long", "Too long.")
    [sent] = client.sendall.call_args.args
    status, _, rest = sent.partition(b"\r\n")
    headers = http.client.parse_headers(BytesIO(rest))
    assert status == b"HTTP/1.1 414 URI Too Long"
    assert headers["Content-Security-Policy"] == "default-src 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Strict-Transport-Security"] == ("max-age=300" if behind_tls else None)
    errors._error.cache_clear()
