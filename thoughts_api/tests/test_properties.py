"""Test properties of search and pagination with Hypothesis.

Hypothesis generates the examples: https://hypothesis.readthedocs.io
"""

import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from common.folding import fold
from thoughts_api.models import Thought, WriteCount
from thoughts_api.tests.test_pagination import links

pytestmark = pytest.mark.django_db

# All examples of a test share its fixtures, and so its database. Each example deletes the rows of the previous one.
property_of = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# Any Unicode character, but more often a difficult one: a combining mark, a ligature, a wildcard, or a letter whose
# upper case has a different length.
characters = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    st.sampled_from("éÉßẞıİIiſKÅﬁﬃŉǰΐΣσςаАёЁйЙ한각नमस्ते日本ゴガ🎉👩‍👩‍👧🇩🇪%_\\'\"<&;- \t"),
    st.characters(categories=["Mn", "Mc", "Me"]),
    st.characters(categories=["Lu", "Ll", "Lt", "Lm"]),
)
texts = st.text(characters, min_size=1, max_size=40).map(str.strip).filter(bool)


def without_accents(text: str) -> str:
    """Return the text as typed by a user whose keyboard has no accents.

    The Greek iota subscript is kept, because its upper case is a letter.
    """
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn" or c.upper().isalpha())


def changed_case(text: str) -> list[str]:
    """Return variants of the text that differ in letter case."""
    return [text.upper(), text.lower(), text.title(), text.swapcase(), text.casefold()]


def found(api: APIClient, substring: str, id: int) -> bool:
    response = api.get("/api/thoughts/", {"search": substring})
    assert response.status_code == 200, response.content
    return id in {thought["id"] for thought in response.json()}


def store(api: APIClient, text: str) -> Any:
    Thought.objects.all().delete()
    WriteCount.objects.all().delete()
    response = api.post("/api/me/thoughts/", {"text": text}, format="json")
    assume(response.status_code == 201)  # skip texts that the API refuses
    return response.json()


@property_of
@given(text=texts, data=st.data())
@example(text="Straße", data=None)
@example(text="İstanbul ﬃ 각", data=None)
@example(text="τῇ ᾠδῇ", data=None)
def test_text_is_found_by_any_substring(bruce: APIClient, text: str, data: Any) -> None:
    thought = store(bruce, text)
    assert thought["text"] == text
    start = data.draw(st.integers(0, len(text) - 1)) if data else 0
    end = data.draw(st.integers(start + 1, len(text))) if data else len(text)
    substring = text[start:end]
    for variant in (
        substring,
        without_accents(substring),
        *changed_case(substring),
        *changed_case(without_accents(substring)),
    ):
        assert found(bruce, variant, thought["id"]), variant.encode("unicode_escape")


@property_of
@given(text=texts, substring=texts)
def test_search_finds_the_same_thoughts_as_a_comparison_in_python(bruce: APIClient, text: str, substring: str) -> None:
    thought = store(bruce, text)
    assert found(bruce, substring, thought["id"]) == (fold(substring) in fold(text))


def walk(api: APIClient, path: str, rel: str, between: Callable[[], None]) -> list[list[int]]:
    """Follow the links with relation `rel`, and return the ids of each page.

    Call `between` after each page.
    """
    pages = []
    while path:
        response = api.get(path)
        assert response.status_code == 200, response.content
        pages.append([thought["id"] for thought in response.json()])
        url = urlsplit(links(response).get(rel, ""))
        path = f"{url.path}?{url.query}" if url.path else ""
        between()
        assert len(pages) < 200, "the links form a loop"
    return pages


@property_of
@given(
    count=st.integers(0, 25),
    limit=st.integers(1, 12),
    ordering=st.sampled_from(["id", "-id"]),
    backwards=st.booleans(),
    search=st.sampled_from(["", "keep", "e"]),
    changes=st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 30)), max_size=12),
)
def test_each_row_is_on_one_page_while_other_rows_change(
    bruce: APIClient, count: int, limit: int, ordering: str, backwards: bool, search: str, changes: list[Any]
) -> None:
    Thought.objects.all().delete()
    kept = [Thought.objects.create(username="bruce", text="keep").id for _ in range(count)]
    temporary = [Thought.objects.create(username="bruce", text="keep, for now").id for _ in range(5)]
    todo = iter(changes)

    def change() -> None:
        match next(todo, None):
            case "add", _:
                temporary.append(Thought.objects.create(username="bruce", text="keep, new").id)
            case "delete", number:
                Thought.objects.filter(id=temporary[number % len(temporary)]).delete()

    first = 2**62 if (ordering == "id") == backwards else 0
    way, rel = ("before", "prev") if backwards else ("after", "next")
    path = f"/api/thoughts/?ordering={ordering}&limit={limit}&search={search}&{way}={first}"
    pages = walk(bruce, path, rel, change)
    if backwards:
        pages.reverse()
    visited = [each for page in pages for each in page]
    # The ids are strictly ordered, so no row appears twice. The rows that are never deleted must all appear.
    assert visited == sorted(set(visited), reverse=ordering == "-id")
    assert set(kept) <= set(visited) <= set(kept) | set(temporary)
    assert all(len(page) <= limit for page in pages)
