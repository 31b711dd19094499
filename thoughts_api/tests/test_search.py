"""Test the search for a substring, which ignores letter case and accents."""

import unicodedata

import pytest
from rest_framework.test import APIClient

from common.http.wsgi import UTF8Request
from thoughts_api.models import Thought

pytestmark = pytest.mark.django_db


def search(api: APIClient, substring: str) -> list[str]:
    response = api.get("/api/thoughts/", {"search": substring})
    assert response.status_code == 200, response.content
    return [thought["text"] for thought in response.json()]


def write(*texts: str) -> None:
    for text in texts:
        Thought.objects.create(username="bruce", text=text)


def test_search_finds_matches_oldest_first(anonymous: APIClient) -> None:
    write("Tea first", "Then work", "More tea")
    assert search(anonymous, "tea") == ["Tea first", "More tea"]
    newest_first = anonymous.get("/api/thoughts/", {"search": "tea", "ordering": "-id"}).json()
    assert [thought["text"] for thought in newest_first] == ["More tea", "Tea first"]


def test_search_without_matches_is_an_empty_array(anonymous: APIClient) -> None:
    write("Tea first")
    response = anonymous.get("/api/thoughts/?search=coffee")
    assert response.status_code == 200
    assert response.json() == []


def test_empty_search_lists_all(anonymous: APIClient) -> None:
    write("One", "Two")
    assert search(anonymous, "") == ["One", "Two"]


def test_search_ignores_the_username(anonymous: APIClient) -> None:
    write("Tea first")
    assert search(anonymous, "bruce") == []


@pytest.mark.parametrize(
    ("text", "substring"),
    [
        # Letter case, in any script.
        ("Hello", "hELLO"),
        ("ПРИВЕТ", "привет"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("ՀԱՅԵՐԵՆ", "հայերեն"),
        # Accents, as part of a character or as combining characters.
        ("café", "cafe"),
        ("cafe", "CAFÉ"),
        ("cafe\u0301", "caf\u00e9"),
        ("caf\u00e9", "cafe\u0301"),
        ("Łódź", "lodz"),
        ("Phở", "pho"),
        ("Ёлка", "елка"),
        ("Ὀδυσσεύς", "οδυσσευς"),
        # Letters whose upper and lower case have different lengths.
        ("Straße", "STRASSE"),
        ("ﬁne", "FINE"),
        ("İstanbul", "istanbul"),
        ("ısı", "ISI"),
        # Other characters.
        ("猫は窓辺で夢を見る。", "窓辺"),
        ("Coffee ☕ 👩‍👩‍👧", "👩‍👩‍👧"),
        ("a  b", "  "),
        ("Zero\u200bwidth", "o\u200bw"),
        # Spaces and invisible characters.
        ("Bonjour\u00a0!", "bonjour !"),
        ("Bonjour !", "bonjour\u00a0!"),
        ("one\ntwo", "one two"),
        ("co\u00adffee", "coffee"),
        ("coffee", "co\u200bffee\ufeff"),
    ],
)
def test_search_ignores_case_and_accents_in_any_script(anonymous: APIClient, text: str, substring: str) -> None:
    write("Something else", text)
    assert search(anonymous, substring) == [text]


@pytest.mark.parametrize(
    "substring", ["%", "_", "\\", "%%", "\\%", "\\_", "'", '"', ";", "''", "\\\\", "*", "?", "[", "$$"]
)
def test_special_characters_are_literal(anonymous: APIClient, substring: str) -> None:
    write("nothing of that kind", f"before{substring}after")
    assert search(anonymous, substring) == [f"before{substring}after"]
    assert search(anonymous, f"e{substring}a") == [f"before{substring}after"]


def test_wildcards_are_literal(anonymous: APIClient) -> None:
    write("abc", "a%c", "a_c", "a\\c", "a\\%c")
    assert search(anonymous, "a%c") == ["a%c"]
    assert search(anonymous, "a_c") == ["a_c"]
    assert search(anonymous, "a\\c") == ["a\\c"]
    assert search(anonymous, "\\%") == ["a\\%c"]
    assert search(anonymous, "%") == ["a%c", "a\\%c"]


def test_search_keeps_spaces(anonymous: APIClient) -> None:
    write("tea first", "first tea", "teafirst")
    # The text is not split into words.
    assert search(anonymous, "tea first") == ["tea first"]
    # Spaces at the ends are not trimmed.
    assert search(anonymous, "tea ") == ["tea first"]
    assert search(anonymous, " tea") == ["first tea"]
    assert search(anonymous, " ") == ["tea first", "first tea"]


def test_substring_of_250_characters_is_found(anonymous: APIClient) -> None:
    text = "ﷺ" * 125 + "ΐ" * 125
    write(text)
    assert search(anonymous, text) == [text]
    assert search(anonymous, text.upper()) == [text]


def test_substring_longer_than_any_thought_is_not_found(anonymous: APIClient) -> None:
    write("a" * 250)
    assert search(anonymous, "a" * 251) == []
    assert search(anonymous, "a" * 1000) == []
    assert search(anonymous, "ΐ" * 1000) == []


def test_whole_text_is_found_by_its_decomposed_form(anonymous: APIClient) -> None:
    text = "ᾂ" * 250
    write(text)
    assert len(unicodedata.normalize("NFD", text)) == 1000
    assert search(anonymous, unicodedata.normalize("NFD", text)) == [text]


@pytest.mark.parametrize("text", ["a" * 1001, "a" * 1_000_000, "a" + "\u0301" * 20_000 + "\u0323" * 20_000])
def test_search_text_longer_than_1000_characters_is_refused(
    anonymous: APIClient, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("thoughts_api.search.fold", None)
    response = anonymous.get("/api/thoughts/", {"search": text})
    assert response.status_code == 400
    assert response.json()["errors"] == {"search": ["A search may have up to 1000 characters."]}


@pytest.mark.parametrize("text", ["\u0301", "\u00ad", "\u200b\u200d\ufeff", "\U000e0041"])
def test_accents_or_invisible_characters_alone_match_every_text(anonymous: APIClient, text: str) -> None:
    write("One", "Two")
    assert search(anonymous, text) == ["One", "Two"]


def test_nul_in_a_search_is_refused(anonymous: APIClient) -> None:
    for query in ("%00", "a%00b"):
        response = anonymous.get(f"/api/thoughts/?search={query}")
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["search"]


def test_query_is_decoded_as_utf_8_whatever_the_content_type_says(
    anonymous: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Make Django's test client use `UTF8Request`, as our WSGI application does.
    monkeypatch.setattr("django.test.client.WSGIRequest", UTF8Request)
    write("Ärger")
    for charset in ("utf-8", "latin-1", "utf-7", "utf-16", "rot13", "zlib", "hex", "undefined", "nonsense"):
        content_type = f"application/json; charset={charset}"
        response = anonymous.generic("GET", "/api/thoughts/?search=%C3%84", content_type=content_type)
        assert [thought["text"] for thought in response.json()] == ["Ärger"], charset
        # Decoded as UTF-7, this value would be a lone surrogate, which the error message would repeat.
        response = anonymous.generic("GET", "/api/thoughts/?ordering=%2B2AA-", content_type=content_type)
        assert response.status_code == 400, charset


def test_query_that_is_not_utf_8_is_refused(anonymous: APIClient) -> None:
    write("Tea \ufffd")
    # %ED%A0%80 encodes a lone surrogate, which UTF-8 does not allow.
    for query in ("search=%FF", "search=%ED%A0%80", "search=%C3", "search=Tea&%C3=1"):
        response = anonymous.get(f"/api/thoughts/?{query}")
        assert response.status_code == 400, query
        assert list(response.json()) == ["message", "errors"]
    assert len(anonymous.get("/api/thoughts/?search=%EF%BF%BD").json()) == 1


def test_changed_text_is_found_by_its_new_substrings(anonymous: APIClient) -> None:
    write("Tea")
    thought = Thought.objects.get()
    thought.text = "Café"
    thought.save()
    assert search(anonymous, "tea") == []
    assert search(anonymous, "CAFE") == ["Café"]
