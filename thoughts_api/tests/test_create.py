"""Test how thoughts are created."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from thoughts_api.models import Thought
from thoughts_api.tests.conftest import Sign, client

pytestmark = pytest.mark.django_db

MINE = "/api/me/thoughts/"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"


def part(value: bytes, more: bytes = b"") -> bytes:
    """Return a multipart body with one field, `text`.

    Append `more` to the headers of that field.
    """
    return b'--x\r\nContent-Disposition: form-data; name="text"' + more + b"\r\n\r\n" + value + b"\r\n--x--\r\n"


def assert_refused(response: Any, *fields: str) -> None:
    """Assert that the response is 400 with errors for exactly these fields.

    Also assert that no thought is stored.
    """
    assert response.status_code == 400, response.content
    assert list(response.json()) == ["message", "errors"]
    assert isinstance(response.json()["message"], str)
    assert list(response.json()["errors"]) == list(fields)
    for messages in response.json()["errors"].values():
        assert messages
        assert all(isinstance(message, str) for message in messages)
    assert not Thought.objects.exists()


def test_thought_is_stored_and_listed(bruce: APIClient, anonymous: APIClient) -> None:
    before = datetime.now(UTC)
    response = bruce.post(MINE, {"text": "Tea first."}, format="json")
    assert response.status_code == 201
    thought = response.json()
    assert list(thought) == ["id", "username", "text", "timestamp"]
    assert (thought["username"], thought["text"]) == ("bruce", "Tea first.")
    assert isinstance(thought["id"], int)
    assert thought["timestamp"].endswith("Z")
    assert before - timedelta(seconds=1) <= datetime.fromisoformat(thought["timestamp"]) <= datetime.now(UTC)
    assert anonymous.get("/api/thoughts/").json() == [thought]


@pytest.mark.parametrize("path", [MINE, MINE.rstrip("/")])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"text": "\xc3\x84 & \xe2\x98\x95 100%"}', "application/json"),
        (b'{"text": "\\u00c4 & \\u2615 100%"}', "application/json; charset=utf-8"),
        (quote("text=Ä & ☕ 100%", safe="=").encode(), FORM),
        (b"text=%C3%84+%26+%E2%98%95+100%25", f"{FORM}; charset=UTF-8"),
        (part("Ä & ☕ 100%".encode()), MULTIPART),
    ],
)
def test_json_form_and_multipart_are_accepted(bruce: APIClient, path: str, body: bytes, content_type: str) -> None:
    response = bruce.generic("POST", path, body, content_type=content_type)
    assert response.status_code == 201, response.content
    assert response.json()["text"] == "Ä & ☕ 100%"


def test_author_is_the_user_in_the_token(sign: Sign) -> None:
    body = {"text": "Mine", "username": "stephen", "id": 5000, "timestamp": "1999-01-01T00:00:00Z", "folded": "x"}
    for name, kind in [("bruce", "json"), ("Zoë+@.-_", "multipart"), ("x" * 50, "json")]:
        thought = client(sign(username=name)).post(MINE, body, format=kind).json()
        assert thought["username"] == name
        assert thought["id"] != 5000
        assert thought["timestamp"] > "2026"
        assert client(sign(username=name)).get(MINE).json() == [thought]
    assert client(sign(username="stephen")).get(MINE).json() == []


def test_create_needs_a_token(anonymous: APIClient) -> None:
    for path in (MINE, MINE.rstrip("/")):
        response = anonymous.post(path, {"text": "Whose?"}, format="json")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert list(response.json()) == ["message"]
    assert not Thought.objects.exists()


@pytest.mark.parametrize("claims", [{"exp": 1}, {"iss": "someone"}, {"username": ""}, {"username": 5}])
def test_invalid_token_is_refused(sign: Sign, claims: dict[str, Any]) -> None:
    response = client(sign(**claims)).post(MINE, {"text": "Whose?"}, format="json")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert not Thought.objects.exists()


# Each Unicode code point counts as a character. So the family emoji counts as 5, and the decomposed é as 2.
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x" * 250,
        "😀" * 250,
        "👩\u200d👩\u200d👧" * 50,
        "e\u0301" * 125,
        "\u0301",
        "猫" * 250,
        "\u200b",
        "%",
        "'",
        "\\",
    ],
)
@pytest.mark.parametrize("format", ["json", "multipart"])
def test_1_to_250_characters_are_accepted(bruce: APIClient, text: str, format: str) -> None:
    response = bruce.post(MINE, {"text": text}, format=format)
    assert response.status_code == 201
    assert response.json()["text"] == Thought.objects.get().text == text


@pytest.mark.parametrize("text", ["x" * 251, "😀" * 251, "👩\u200d👩\u200d👧" * 51, "e\u0301" * 126, "x" * 60_000])
@pytest.mark.parametrize("format", ["json", "multipart"])
def test_more_than_250_characters_are_refused(bruce: APIClient, text: str, format: str) -> None:
    assert_refused(bruce.post(MINE, {"text": text}, format=format), "text")


def test_text_is_trimmed_before_its_length_is_checked(bruce: APIClient) -> None:
    space = " \t\r\n\u00a0\u3000\u2003"
    assert bruce.post(MINE, {"text": f"{space}a b{space}"}, format="json").json()["text"] == "a b"
    assert bruce.post(MINE, {"text": space + "x" * 250 + space}, format="json").json()["text"] == "x" * 250


@pytest.mark.parametrize("text", ["", " ", "\n", " \t\r\n\u00a0\u3000\u2003 "])
@pytest.mark.parametrize("format", ["json", "multipart"])
def test_text_with_only_whitespace_is_refused(bruce: APIClient, text: str, format: str) -> None:
    assert_refused(bruce.post(MINE, {"text": text}, format=format), "text")


def test_text_is_stored_unchanged(bruce: APIClient) -> None:
    for text in ["<b>&amp;</b>", "a\nb\tc", "ﬁ ﷺ e\u0301 é", "İ ß ς", "\u202eabc", "null", "\x1b[31m", "\ufffd"]:
        thought = bruce.post(MINE, {"text": text}, format="json").json()
        assert bruce.get(f"/api/thoughts/{thought['id']}/").json()["text"] == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"Text": "x"}',
        b'{"text": null}',
        b'{"text": 5}',
        b'{"text": 1.5}',
        b'{"text": true}',
        b'{"text": ["x"]}',
        b'{"text": {"text": "x"}}',
        # NUL, including at both ends of the text, where the API trims spaces.
        b'{"text": "\\u0000"}',
        b'{"text": "a\\u0000b"}',
        b'{"text": "a\\u0000"}',
        b'{"text": " \\u0000 a"}',
        # Unpaired surrogates.
        b'{"text": "\\ud800"}',
        b'{"text": "a\\udfff"}',
        b'{"text": "\\ude00\\ud83d"}',
    ],
)
def test_invalid_text_is_reported_under_its_field(bruce: APIClient, body: bytes) -> None:
    assert_refused(bruce.generic("POST", MINE, body, content_type="application/json"), "text")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"Text=x", FORM),
        (b"text=%00", FORM),
        (b"text=a%00b", FORM),
        (b"text=+%20", FORM),
        (part(b"a\x00b"), MULTIPART),
        (part(b"\x00"), MULTIPART),
        # A file instead of a text.
        (part(b"x", b'; filename="text.txt"'), MULTIPART),
        (b"--x--\r\n", MULTIPART),
    ],
)
def test_invalid_text_in_a_form_is_reported_under_its_field(bruce: APIClient, body: bytes, content_type: str) -> None:
    assert_refused(bruce.generic("POST", MINE, body, content_type=content_type), "text")


@pytest.mark.parametrize("body", [b"[]", b'[{"text": "x"}]', b'"text"', b"5", b"true", b"null"])
def test_json_that_is_not_an_object_is_refused(bruce: APIClient, body: bytes) -> None:
    assert_refused(bruce.generic("POST", MINE, body, content_type="application/json"), "non_field_errors")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"text": "x"',
        b'{"text": "x",}',
        b"{'text': 'x'}",
        b"text=x",
        b'{"text": "x"} {}',
        b'{"text": NaN}',
        b'{"text": "\xff"}',
        b'{"text": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"text": "x"}',
        '{"text": "x"}'.encode("utf-16"),
        b"\x00",
        b"9" * 5000,
        b"[" * 60_000,
        b'{"text": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"a":' * 10_000,
    ],
    ids=lambda body: body[:12],
)
def test_malformed_json_is_refused(bruce: APIClient, body: bytes) -> None:
    assert_refused(bruce.generic("POST", MINE, body, content_type="application/json"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        # Bytes that are not UTF-8, including an encoded surrogate.
        (b"text=%FF", FORM),
        (b"text=a\xff", FORM),
        (b"text=%ED%A0%80", FORM),
        (part(b"\xff"), MULTIPART),
        (part(b"\xed\xa0\x80"), MULTIPART),
        # A Content-Type without a boundary, or with an invalid one.
        (part(b"x"), "multipart/form-data"),
        (part(b"x"), "multipart/form-data; boundary=\u00e4"),
    ],
)
def test_malformed_form_is_refused(bruce: APIClient, body: bytes, content_type: str) -> None:
    assert_refused(bruce.generic("POST", MINE, body, content_type=content_type))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps({"text": "x" * 3_000_000}).encode(), "application/json"),
        (b"text=" + b"x" * 3_000_000, FORM),
        (part(b"x" * 3_000_000), MULTIPART),
        (json.dumps({"text": "x" * 64 * 1024}).encode(), "application/json"),
    ],
    ids=["JSON", "form", "multipart", "JSON just over the limit"],
)
def test_huge_body_is_refused(bruce: APIClient, body: bytes, content_type: str) -> None:
    response = bruce.generic("POST", MINE, body, content_type=content_type)
    assert response.status_code == 413
    assert response.json() == {"message": "The body is larger than 64 KiB."}
    assert not Thought.objects.exists()


def test_form_with_too_many_fields_is_refused(bruce: APIClient) -> None:
    body = b"&".join(b"field%d=x" % number for number in range(2000))
    assert_refused(bruce.generic("POST", MINE, body, content_type=FORM))


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/vnd.api+json",
        "nonsense",
        "",
        "application/json; charset=latin-1",
        "application/json; charset=utf-7",
        "application/x-www-form-urlencoded; charset=zlib",
    ],
)
def test_unsupported_content_type_is_415(bruce: APIClient, content_type: str) -> None:
    response = bruce.generic("POST", MINE, b'{"text": "x"}', content_type=content_type)
    assert response.status_code == 415
    assert list(response.json()) == ["message"]
    assert not Thought.objects.exists()
