"""Test the WSGI application by calling it as gunicorn does."""

import codecs
import encodings
import json
import sys
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.test import RequestFactory

from common.http.wsgi import Handler, get_wsgi_application

MALFORMED = (400, {"message": "The request is malformed.", "errors": {}})
TOO_LARGE = (413, {"message": "The body is larger than 64 KiB."})
CONTENT_TYPES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]


@pytest.fixture(scope="module")
def handler() -> BaseHandler:
    """Return the WSGI application."""
    return Handler()


def post_chunked(handler: Any, body: BytesIO) -> tuple[int, Any]:
    """Send JSON in chunks, without Content-Length.

    Return the status and the JSON of the response.
    """
    environ = RequestFactory().post("/echo/", content_type="application/json").environ
    del environ["CONTENT_LENGTH"]
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": body, "wsgi.input_terminated": True}
    statuses: list[str] = []
    response = handler(environ, lambda status, headers: statuses.append(status))
    return int(statuses[0][:3]), json.loads(b"".join(response))


def test_chunked_body_is_read(handler: BaseHandler) -> None:
    # RFC 9112 section 7.1 requires servers to support the chunked transfer coding.
    assert post_chunked(handler, BytesIO(b'{"text": "abc"}')) == (200, {"text": "abc"})


@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 400), (64 * 1024 + 1, 413), (3_000_000, 413)])
def test_chunked_body_has_the_same_limit_as_other_bodies(handler: BaseHandler, size: int, status: int) -> None:
    body = BytesIO(b"x" * size)
    assert post_chunked(handler, body)[0] == status
    assert body.tell() <= 64 * 1024 + 1


def post(handler: Any, body: Any, content_type: str, length: int) -> tuple[int, Any]:
    """Send a body with Content-Length. Return the status and the JSON of the response."""
    environ = RequestFactory().post("/echo/").environ
    statuses: list[str] = []
    environ |= {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(length), "wsgi.input": body}
    response = handler(environ, lambda status, headers: statuses.append(status))
    return int(statuses[0][:3]), json.loads(b"".join(response))


@pytest.mark.parametrize("content_type", [*CONTENT_TYPES, "text/plain"])
@pytest.mark.parametrize("size", [64 * 1024 + 1, 3_000_000, 10**30])
def test_oversized_body_is_not_read(handler: BaseHandler, content_type: str, size: int) -> None:
    body = BytesIO(b"x" * 3_000_000)
    assert post(handler, body, content_type, size) == TOO_LARGE
    assert body.tell() == 0


@pytest.mark.parametrize("path", ["/open/", "/me/", "/nothing/"])
def test_body_that_no_view_reads_has_the_same_limit(handler: Any, path: str) -> None:
    environ = RequestFactory().post(path, content_type="application/json").environ
    statuses: list[str] = []
    handler(environ | {"CONTENT_LENGTH": "3000000"}, lambda status, headers: statuses.append(status))
    assert statuses[0].startswith("413 ")


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_body_of_64_kib_is_read(handler: BaseHandler, content_type: str) -> None:
    body = BytesIO(b" " * 64 * 1024)
    assert post(handler, body, content_type, 64 * 1024)[0] == 400
    assert body.tell() == 64 * 1024


PART = b'--x\r\nContent-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"[" + b"[[]]," * 13_000 + b"[]]"),
        ("application/json", b"[" + b"{}," * 20_000 + b"{}]"),
        ("application/json", b"[" * 60_000),
        ("application/json", b'{"a":' * 10_000),
        ("application/json", b"1" * 60_000),
        ("application/json", b'{"text": ' + b"1" * 60_000 + b"}"),
        ("application/json", b'{"text": -' + b"1" * 60_000 + b"e" + b"9" * 5000 + b"}"),
        ("application/json", json.dumps(dict.fromkeys(map(str, range(4000)))).encode()),
        ("application/json", b'{"text": "' + b"\\u0301\\u0323" * 5000 + b'"}'),
        ("application/x-www-form-urlencoded", b"%" * 65_000),
        ("application/x-www-form-urlencoded", b"text=" + b"%" * 65_000),
        ("application/x-www-form-urlencoded", b"text=" + b"%C3%A4" * 10_000),
        ("application/x-www-form-urlencoded", b"&" * 65_000),
        ("application/x-www-form-urlencoded", b"a=&" * 20_000),
        ("multipart/form-data; boundary=x", b"--x\r\n" * 13_000 + b"--x--\r\n"),
        ("multipart/form-data; boundary=x", (PART + b"\r\n\r\n\r\n") * 1000 + b"--x--\r\n"),
        ("multipart/form-data; boundary=x", (PART + b'; filename="a"\r\n\r\n\r\n') * 900 + b"--x--\r\n"),
        ("multipart/form-data; boundary=x", (PART + b';"' + b";" * 900 + b"\r\n\r\n\r\n") * 60 + b"--x--\r\n"),
    ],
    ids=lambda value: value[:16],
)
def test_expensive_body_is_refused(handler: BaseHandler, content_type: str, body: bytes) -> None:
    assert len(body) <= 64 * 1024
    status, answer = post(handler, BytesIO(body), content_type, len(body))
    assert (status, list(answer)) == (400, ["message", "errors"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a": [' + b"{}," * 500 + b'{}], "text": "a"}'),
        ("application/json", b'{"text": "a", "b": [' + b"0," * 1000 + b"0]}"),
        ("application/x-www-form-urlencoded", b"text=" + b"%" * 10_001),
        ("multipart/form-data; boundary=x", PART + b"\r\n\r\n" + b";" * 1001 + b"\r\n--x--\r\n"),
    ],
    ids=lambda value: value[:16],
)
def test_expensive_body_is_refused_before_parsing(handler: BaseHandler, content_type: str, body: bytes) -> None:
    assert post(handler, BytesIO(body), content_type, len(body)) == MALFORMED


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary*=nonsense'en'x",
        f"multipart/form-data; a*{'1' * 900}=b; boundary=x",
        "application/json; charset*=nonsense'en'x",
        f'application/json; "{";" * 8000}',
        f"application/json{'; a=b' * 1000}",
    ],
    ids=lambda value: value[:48],
)
def test_abnormal_content_type_is_415(handler: BaseHandler, content_type: str) -> None:
    body = b'{"text": "a"}'
    assert post(handler, BytesIO(body), content_type, len(body))[0] == 415


@pytest.mark.parametrize("name", ["Cookie", "Origin", "Accept", "X-Request-ID", "If-None-Match", "X-Forwarded-For"])
def test_repeated_headers_over_the_limit_are_400(handler: Any, name: str) -> None:
    value = ",".join(["a" * 4000] * 3)  # gunicorn joins repeated headers
    environ = RequestFactory().get("/open/", headers={name: value}).environ
    statuses: list[str] = []
    response = handler(environ, lambda status, headers: statuses.append(status))
    assert (int(statuses[0][:3]), json.loads(b"".join(response))) == MALFORMED


def test_unknown_encoding_is_not_cached() -> None:
    get_wsgi_application()
    before, handler = sys.getsizeof(encodings._cache), Handler()
    kind = "multipart/form-data; boundary=x"
    for number in range(200):
        part = b"--x\r\nContent-Disposition: form-data; name*=nonsense%d'en'text\r\n\r\na\r\n--x--\r\n" % number
        assert post(handler, BytesIO(part), kind, len(part))[0] == 400
    assert sys.getsizeof(encodings._cache) == before
    assert [codecs.lookup(name).name for name in ("UTF-8", "latin 1", "ANSI_X3.4-1986")] == [
        "utf-8",
        "iso8859-1",
        "ascii",
    ]


@pytest.mark.parametrize("line", ["name*=", "name* =", "name*0*=", "NAME*\xa0=", 'name="text"; a*='])
def test_parameter_with_a_charset_in_a_part_header_is_refused(handler: BaseHandler, line: str) -> None:
    body = f"--x\r\nContent-Disposition: form-data; {line}utf-8''text\r\n\r\na\r\n--x--\r\n".encode()
    assert post(handler, BytesIO(body), "multipart/form-data; boundary=x", len(body)) == MALFORMED


def test_field_may_contain_an_asterisk_and_an_equals_sign(handler: BaseHandler) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + b"a*=b" + b"\r\n--x--\r\n"
    assert post(handler, BytesIO(body), "multipart/form-data; boundary=x", len(body)) == (200, {"text": "a*=b"})


@pytest.mark.parametrize("name", ["Accept", "Accept-Encoding"])
def test_header_with_an_unknown_charset_is_ignored(handler: Any, name: str) -> None:
    before = dict(encodings._cache)
    environ = RequestFactory().get("/schema/", headers={name: "text/html; a*=never-heard-of'en'x"}).environ
    statuses: list[str] = []
    handler(environ, lambda status, headers: statuses.append(status))
    assert statuses == ["200 OK"]
    assert encodings._cache == before


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_body_that_does_not_arrive_is_400(handler: BaseHandler, content_type: str) -> None:
    class MissingBody(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise BlockingIOError

    assert post(handler, MissingBody(), content_type, 100) == MALFORMED


@pytest.mark.parametrize("path", ["/open/", "/me/", "/nothing/", "/healthz", "/readyz", "/metrics", "/", "/schema/"])
def test_head_has_the_headers_of_get_and_no_body(handler: Any, path: str) -> None:
    answers = {}
    for method in ("GET", "HEAD"):
        environ = RequestFactory().generic(method, path).environ
        heads: list[Any] = []
        body = b"".join(handler(environ, lambda status, headers, heads=heads: heads.append((status, dict(headers)))))
        heads[0][1].pop("X-Request-ID")
        answers[method] = (*heads[0], body)
    assert answers["GET"][:2] == answers["HEAD"][:2]
    assert answers["GET"][2]
    assert answers["HEAD"][2] == b""


def test_empty_chunked_body_is_400(handler: BaseHandler) -> None:
    assert post_chunked(handler, BytesIO())[0] == 400


def test_sql_statements_of_requests_have_a_default_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "DATABASES", {"default": {}, "replica": {"STATEMENT_TIMEOUT": 1}})
    get_wsgi_application()
    assert settings.DATABASES == {"default": {"STATEMENT_TIMEOUT": 2}, "replica": {"STATEMENT_TIMEOUT": 1}}
