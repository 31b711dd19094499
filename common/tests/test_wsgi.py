"""The WSGI application, called as gunicorn does."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.test import RequestFactory

from common.wsgi import Handler, get_wsgi_application

MALFORMED = (400, {"message": "The request is malformed.", "errors": {}})
CONTENT_TYPES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]


@pytest.fixture(scope="module")
def handler() -> BaseHandler:
    """The application."""
    return Handler()


def post_chunked(handler: Any, body: bytes) -> tuple[int, Any]:
    """Send JSON without saying its length, as gunicorn passes it on; return the status and the answer."""
    environ = RequestFactory().post("/echo/", content_type="application/json").environ
    del environ["CONTENT_LENGTH"]
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    statuses: list[str] = []
    response = handler(environ, lambda status, headers: statuses.append(status))
    return int(statuses[0][:3]), json.loads(b"".join(response))


def test_a_body_in_chunks_is_read(handler: BaseHandler) -> None:
    # RFC 9112 section 6.1: a recipient must be able to.
    assert post_chunked(handler, b'{"text": "abc"}') == (200, {"text": "abc"})


def test_a_body_in_chunks_has_the_same_limit(handler: BaseHandler) -> None:
    assert post_chunked(handler, json.dumps({"text": "x" * 3_000_000}).encode()) == MALFORMED


def post(handler: Any, body: Any, content_type: str, length: int) -> tuple[int, Any]:
    """Send a body that says its length; return the status and the answer."""
    environ = RequestFactory().post("/echo/", content_type=content_type).environ
    statuses: list[str] = []
    environ |= {"CONTENT_LENGTH": str(length), "wsgi.input": body}
    response = handler(environ, lambda status, headers: statuses.append(status))
    return int(statuses[0][:3]), json.loads(b"".join(response))


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_body_that_is_too_long_is_not_read(handler: BaseHandler, content_type: str) -> None:
    body = BytesIO(b"x" * 3_000_000)
    assert post(handler, body, content_type, 3_000_000) == MALFORMED
    assert body.tell() == 0


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_body_that_does_not_arrive_is_no_fault_of_ours(handler: BaseHandler, content_type: str) -> None:
    class Late(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise BlockingIOError

    assert post(handler, Late(), content_type, 100) == MALFORMED


def test_an_empty_body_in_chunks_is_empty(handler: BaseHandler) -> None:
    assert post_chunked(handler, b"")[0] == 400


def test_the_statements_of_requests_have_a_limit_unless_their_database_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "DATABASES", {"default": {}, "replica": {"STATEMENT_TIMEOUT": 1}})
    get_wsgi_application()
    assert settings.DATABASES == {"default": {"STATEMENT_TIMEOUT": 2}, "replica": {"STATEMENT_TIMEOUT": 1}}
