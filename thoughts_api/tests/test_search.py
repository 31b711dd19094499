"""Searching: a plain piece of the text, taken whole, without letter case and accents."""

import unicodedata

import pytest
from rest_framework.test import APIClient

from common.http.wsgi import UTF8Request
from thoughts_api.models import Thought

pytestmark = pytest.mark.django_db


def search(api: APIClient, piece: str) -> list[str]:
    response = api.get("/api/thoughts/", {"search": piece})
    assert response.status_code == 200, response.content
    return [thought["text"] for thought in response.json()]


def write(*texts: str) -> None:
    for text in texts:
        Thought.objects.create(username="bruce", text=text)


def test_a_search_finds_the_thoughts_that_have_the_piece_oldest_first(anyone: APIClient) -> None:
    write("Tea first", "Then work", "More tea")
    assert search(anyone, "tea") == ["Tea first", "More tea"]
    newest_first = anyone.get("/api/thoughts/", {"search": "tea", "ordering": "-id"}).json()
    assert [thought["text"] for thought in newest_first] == ["More tea", "Tea first"]


def test_nothing_found_is_an_empty_array(anyone: APIClient) -> None:
    write("Tea first")
    response = anyone.get("/api/thoughts/?search=coffee")
    assert response.status_code == 200
    assert response.json() == []


def test_an_empty_search_lists_all(anyone: APIClient) -> None:
    write("One", "Two")
    assert search(anyone, "") == ["One", "Two"]


def test_a_search_is_in_the_text_and_not_in_the_name(anyone: APIClient) -> None:
    write("Tea first")
    assert search(anyone, "bruce") == []


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        # Letter case, in any script.
        ("Hello", "hELLO"),
        ("ПРИВЕТ", "привет"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("ՀԱՅԵՐԵՆ", "հայերեն"),
        # Accents, in one character or two.
        ("café", "cafe"),
        ("cafe", "CAFÉ"),
        ("cafe\u0301", "caf\u00e9"),
        ("caf\u00e9", "cafe\u0301"),
        ("Łódź", "lodz"),
        ("Phở", "pho"),
        ("Ёлка", "елка"),
        ("Ὀδυσσεύς", "οδυσσευς"),
        # Letters that change their number with the case.
        ("Straße", "STRASSE"),
        ("ﬁne", "FINE"),
        ("İstanbul", "istanbul"),
        ("ısı", "ISI"),
        # Not letters at all.
        ("猫は窓辺で夢を見る。", "窓辺"),
        ("Coffee ☕ 👩‍👩‍👧", "👩‍👩‍👧"),
        ("a  b", "  "),
        ("Zero\u200bwidth", "\u200b"),
    ],
)
def test_letter_case_and_accents_do_not_matter_in_any_script(anyone: APIClient, text: str, piece: str) -> None:
    write("Something else", text)
    assert search(anyone, piece) == [text]


@pytest.mark.parametrize(
    "piece", ["%", "_", "\\", "%%", "\\%", "\\_", "'", '"', ";", "''", "\\\\", "*", "?", "[", "$$"]
)
def test_a_character_that_means_something_to_a_database_is_itself(anyone: APIClient, piece: str) -> None:
    write("nothing of that kind", f"before{piece}after")
    assert search(anyone, piece) == [f"before{piece}after"]
    assert search(anyone, f"e{piece}a") == [f"before{piece}after"]


def test_a_pattern_is_not_a_pattern(anyone: APIClient) -> None:
    write("abc", "a%c", "a_c", "a\\c", "a\\%c")
    assert search(anyone, "a%c") == ["a%c"]
    assert search(anyone, "a_c") == ["a_c"]
    assert search(anyone, "a\\c") == ["a\\c"]
    assert search(anyone, "\\%") == ["a\\%c"]
    assert search(anyone, "%") == ["a%c", "a\\%c"]


def test_a_search_is_taken_whole_with_its_spaces(anyone: APIClient) -> None:
    write("tea first", "first tea", "teafirst")
    # Not two words.
    assert search(anyone, "tea first") == ["tea first"]
    # Not trimmed.
    assert search(anyone, "tea ") == ["tea first"]
    assert search(anyone, " tea") == ["first tea"]
    assert search(anyone, " ") == ["tea first", "first tea"]


def test_a_piece_of_250_characters_is_found(anyone: APIClient) -> None:
    text = "ﷺ" * 125 + "ΐ" * 125
    write(text)
    assert search(anyone, text) == [text]
    assert search(anyone, text.upper()) == [text]


def test_a_piece_longer_than_any_thought_is_found_nowhere(anyone: APIClient) -> None:
    write("a" * 250)
    assert search(anyone, "a" * 251) == []
    assert search(anyone, "a" * 1000) == []
    assert search(anyone, "ΐ" * 1000) == []


def test_a_text_of_250_characters_is_found_by_its_decomposed_form(anyone: APIClient) -> None:
    text = "ᾂ" * 250
    write(text)
    assert len(unicodedata.normalize("NFD", text)) == 1000
    assert search(anyone, unicodedata.normalize("NFD", text)) == [text]


@pytest.mark.parametrize("text", ["a" * 1001, "a" * 1_000_000, "a" + "\u0301" * 20_000 + "\u0323" * 20_000])
def test_a_search_of_more_than_1000_characters_is_refused(
    anyone: APIClient, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("thoughts_api.search.fold", None)
    response = anyone.get("/api/thoughts/", {"search": text})
    assert response.status_code == 400
    assert response.json()["errors"] == {"search": ["A search may have up to 1000 characters."]}


def test_an_accent_alone_is_in_every_text(anyone: APIClient) -> None:
    write("One", "Two")
    assert search(anyone, "\u0301") == ["One", "Two"]


def test_a_nul_character_is_a_wrong_search(anyone: APIClient) -> None:
    for query in ("%00", "a%00b"):
        response = anyone.get(f"/api/thoughts/?search={query}")
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["search"]


def test_a_query_is_utf_8_whatever_the_content_type_says(anyone: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # Django's test client has a handler of its own.
    monkeypatch.setattr("django.test.client.WSGIRequest", UTF8Request)
    write("Ärger")
    for charset in ("utf-8", "latin-1", "utf-7", "utf-16", "rot13", "zlib", "hex", "undefined", "nonsense"):
        content_type = f"application/json; charset={charset}"
        response = anyone.generic("GET", "/api/thoughts/?search=%C3%84", content_type=content_type)
        assert [thought["text"] for thought in response.json()] == ["Ärger"], charset
        # In UTF-7, this is a lone surrogate, which the answer would repeat.
        response = anyone.generic("GET", "/api/thoughts/?ordering=%2B2AA-", content_type=content_type)
        assert response.status_code == 400, charset


def test_a_query_that_is_no_utf_8_is_wrong(anyone: APIClient) -> None:
    write("Tea \ufffd")
    # The second is a lone surrogate.
    for query in ("search=%FF", "search=%ED%A0%80", "search=%C3", "search=Tea&%C3=1"):
        response = anyone.get(f"/api/thoughts/?{query}")
        assert response.status_code == 400, query
        assert list(response.json()) == ["message", "errors"]
    assert len(anyone.get("/api/thoughts/?search=%EF%BF%BD").json()) == 1


def test_a_text_that_changes_is_found_by_its_new_pieces(anyone: APIClient) -> None:
    write("Tea")
    thought = Thought.objects.get()
    thought.text = "Café"
    thought.save()
    assert search(anyone, "tea") == []
    assert search(anyone, "CAFE") == ["Café"]
