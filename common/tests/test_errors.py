"""Test that the body of every error has the same format.

The body contains a message and, for a 400, the invalid fields.
"""

import json
from typing import Any

import psycopg
import pytest
from django.db import DataError, IntegrityError, OperationalError
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from psycopg import errors

from common.api.errors import reason
from common.tests import signing


def assert_bad(response: Any, *fields: str) -> None:
    """Assert that the response is a 400 with errors for exactly these fields."""
    assert response.status_code == 400, response.content
    assert list(response.json()) == ["message", "errors"]
    assert isinstance(response.json()["message"], str)
    assert response.json()["message"]
    found = response.json()["errors"]
    assert sorted(found) == sorted(fields)
    assert all(messages and all(isinstance(message, str) for message in messages) for messages in found.values())


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("401", 401, "Who are you?"),
        ("403", 403, "Not you."),
        ("429", 429, "Request was throttled. Expected available in 7 seconds."),
        ("503", 503, "Unavailable."),
        ("database", 503, "The database is temporarily unavailable. Try again soon."),
        ("interface", 503, "The database is temporarily unavailable. Try again soon."),
        ("fault", 500, "Something went wrong on our side."),
    ],
)
def test_exception_in_a_view_becomes_an_error_response(api: Client, name: str, status: int, message: str) -> None:
    response = api.get(f"/raise/{name}/")
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response.json() == {"message": message}


def test_401_has_www_authenticate(api: Client) -> None:
    # RFC 9110 section 15.5.2 requires this header.
    assert api.get("/raise/401/")["WWW-Authenticate"] == "Bearer"


def test_valid_token_that_is_too_long_is_401(api: Client) -> None:
    token = signing.token(headers={"kid": "ours", "padding": "x" * 8000})
    response = api.get("/me/", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401
    assert response.json() == {"message": "The token is too long."}


def test_429_and_503_have_retry_after(api: Client) -> None:
    assert api.get("/raise/429/")["Retry-After"] == "7"
    assert api.get("/raise/503/")["Retry-After"] == "5"
    assert api.get("/raise/database/")["Retry-After"] == "5"


def test_client_does_not_see_the_database_error(api: Client) -> None:
    assert "server closed" not in api.get("/raise/database/").text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("database", "The database is unavailable: server closed the connection unexpectedly"),
        ("timeout", "The database is unavailable: canceling statement due to statement timeout"),
        ("interface", "The database is unavailable: connection already closed"),
        ("unnamed", "The database is unavailable: OperationalError"),
        ("outside", "The database is unavailable: canceling statement due to statement timeout"),
    ],
)
def test_database_error_is_logged_without_the_statement(
    api: Client, caplog: pytest.LogCaptureFixture, name: str, line: str
) -> None:
    assert api.get(f"/raise/{name}/").status_code == 503
    [record] = [record for record in caplog.records if record.name == "common.api.errors"]
    assert (record.levelname, record.getMessage()) == ("WARNING", line)


@pytest.mark.parametrize(
    ("error", "cause", "sqlstate"),
    [
        (DataError, errors.InvalidTextRepresentation('invalid input syntax for type uuid: "canary"'), "22P02"),
        (IntegrityError, errors.UniqueViolation("DETAIL: Key (username)=(canary) already exists."), "23505"),
        (OperationalError, errors.QueryCanceled("canceling statement due to statement timeout"), "57014"),
        (DataError, psycopg.DataError("canary"), ""),
    ],
)
def test_reason_of_a_database_error_has_no_value(error: type[Exception], cause: Exception, sqlstate: str) -> None:
    raised = error(str(cause))
    raised.__cause__ = cause  # as Django does
    expected = f"{type(cause).__name__} (SQLSTATE {sqlstate})" if sqlstate else "DataError"
    assert reason(raised) == expected


def test_message_of_a_400_names_the_fields(api: Client) -> None:
    assert api.get("/raise/field/").json() == {
        "message": "text: Too long. Too rude.",
        "errors": {"text": ["Too long.", "Too rude."]},
    }


def test_error_without_a_field_is_a_non_field_error(api: Client) -> None:
    assert api.get("/raise/list/").json() == {"message": "Too much.", "errors": {"non_field_errors": ["Too much."]}}


def test_nested_field_has_a_dotted_name(api: Client) -> None:
    assert api.get("/raise/nested/").json()["errors"] == {"author.name": ["Unknown."]}


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["/nothing", "/nothing/", "/items/x/", "/items/", "/items/1/2/", "/me/x", "/%00"])
def test_an_unknown_path_is_404_for_every_method(api: Client, method: str, path: str) -> None:
    response = getattr(api, method)(path)
    assert response.status_code == 404
    assert response.json() == {"message": "There is nothing at this address."}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("post", "/open/", "GET, HEAD, OPTIONS"),
        ("get", "/echo/", "POST, OPTIONS"),
        ("delete", "/items/1/", "GET, HEAD, OPTIONS"),
        ("post", "/schema/", "GET, HEAD, OPTIONS"),
        ("post", "/", "GET, HEAD, OPTIONS"),
        ("put", "/", "GET, HEAD, OPTIONS"),
        ("post", "/healthz", "GET, HEAD"),
        ("delete", "/readyz", "GET, HEAD"),
        ("put", "/metrics", "GET, HEAD"),
    ],
)
def test_wrong_method_is_405_with_the_allowed_methods(api: Client, method: str, path: str, allowed: str) -> None:
    response = getattr(api, method)(path)
    assert response.status_code == 405
    assert response.json() == {"message": f'Method "{method.upper()}" not allowed.'}
    assert response["Content-Type"] == "application/json"
    assert sorted(response["Allow"].split(", ")) == sorted(allowed.split(", "))


def test_an_unknown_host_is_400(api: Client) -> None:
    response = api.get("/open/", headers={"Host": "evil.example"})
    assert_bad(response)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{]",
        b'{"text": "a"',
        b'{"text": "a"}}',
        b"{'text': 'a'}",
        b"nonsense",
        b"\xff\xfe",
        b"\x00",
        b'{"text": NaN}',
        b'{"text": Infinity}',
        b'{"text": ' + b"9" * 5000 + b"}",
        b"[" * 990,
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"text": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    ],
)
def test_broken_json_is_400(api: Client, body: bytes) -> None:
    response = api.generic("POST", "/echo/", body, content_type="application/json")
    assert_bad(response, *(["text"] if body == b"" else []))


@pytest.mark.parametrize("body", [b"[]", b"[1]", b'"text"', b"1", b"1.5", b"true", b'[{"text": "a"}]'])
def test_json_that_is_not_an_object_is_400(api: Client, body: bytes) -> None:
    assert_bad(api.generic("POST", "/echo/", body, content_type="application/json"), "non_field_errors")


@pytest.mark.parametrize(
    "text",
    [
        None,
        1,
        1.5,
        True,
        False,
        [],
        ["a"],
        {},
        {"a": "b"},
        "",
        " ",
        "\t\n",
        "sixsix",
        "a\x00b",
        "\x00",
        "\ud800",
        "a\udfff",
    ],
)
def test_invalid_text_causes_a_400_that_names_the_field(api: Client, text: Any) -> None:
    body = json.dumps({"text": text})
    assert_bad(api.generic("POST", "/echo/", body, content_type="application/json"), "text")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("text", [b"", b"sixsix", b"a\x00b"])
def test_invalid_text_in_a_form_causes_a_400_that_names_the_field(api: Client, kind: str, text: bytes) -> None:
    assert_bad(api.generic("POST", "/echo/", form(kind, text), content_type=kind), "text")


def form(kind: str, text: bytes) -> bytes:
    if kind.startswith("multipart"):
        return b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + text + b"\r\n--b--\r\n"
    return b"text=" + text.replace(b"\x00", b"%00")


def test_file_instead_of_a_text_is_400(api: Client) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\nabc\r\n--b--\r\n'
    kind = "multipart/form-data; boundary=b"
    assert_bad(api.generic("POST", "/echo/", body, content_type=kind), "text")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--b"),
        ("multipart/form-data; boundary=", b"--b"),
        ("multipart/form-data; boundary=b", b"nonsense"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=text"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name*=x'y'z\r\n\r\na\r\n--b--"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=text\r\nContent-Transfer-Encoding: base64\r\n\r\n%\r\n--b--",
        ),
        ("multipart/form-data; boundary=\xe4", b"--b"),
        ("multipart/form-data; boundary=" + "b" * 500, b"--b"),
        ("application/x-www-form-urlencoded", b"&".join(b"a=b" for _ in range(2000))),
        ("application/x-www-form-urlencoded", b"\xff=%ff&&&=;%"),
    ],
)
def test_a_broken_form_is_400(api: Client, kind: str, body: bytes) -> None:
    response = api.generic("POST", "/echo/", body, content_type=kind)
    assert response.status_code == 400
    assert set(response.json()) == {"message", "errors"}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/octet-stream", "json", "", "a/b/c", ";"]
)
def test_body_of_another_media_type_is_415(api: Client, kind: str) -> None:
    response = api.generic("POST", "/echo/", b'{"text": "a"}', content_type=kind)
    assert response.status_code == 415
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
)
@pytest.mark.parametrize(
    "charset", ["base64", "rot13", "hex", "zip", "idna", "undefined", "utf-16", "nonsense", "utf-7", ""]
)
def test_body_in_another_encoding_is_never_500(api: Client, kind: str, charset: str) -> None:
    body = b'{"text": "a"}' if kind == "application/json" else form(kind, b"a")
    response = api.generic("POST", "/echo/", body, content_type=f"{kind}; charset={charset}")
    assert response.status_code in (200, 400, 415)
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"'])
def test_body_with_the_charset_utf_8_is_accepted(api: Client, charset: str) -> None:
    body = '{"text": "ä😀"}'.encode()
    response = api.generic("POST", "/echo/", body, content_type=f"application/json; charset={charset}")
    assert response.json() == {"text": "ä😀"}


@pytest.mark.parametrize("kind", ["application/json", MULTIPART_CONTENT])
def test_valid_body_is_accepted_in_each_media_type(api: Client, kind: str) -> None:
    assert api.post("/echo/", {"text": " ä😀 "}, content_type=kind).json() == {"text": "ä😀"}
    form = "text=+%C3%A4%F0%9F%98%80+"
    response = api.generic("POST", "/echo/", form, content_type="application/x-www-form-urlencoded")
    assert response.json() == {"text": "ä😀"}


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "", "nonsense", "image/png;q=0", "\xff"])
def test_response_is_json_whatever_accept_says(api: Client, accept: str) -> None:
    # RFC 9110 section 12.1 allows servers to ignore Accept.
    for path, status in (("/open/", 200), ("/me/", 401), ("/nothing/", 404)):
        response = api.get(path, HTTP_ACCEPT=accept)
        assert response.status_code == status
        assert response["Content-Type"] == "application/json"
