"""What holds for any text and any page, tried with many: https://hypothesis.readthedocs.io."""

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

# Each example has the database of the test to itself: it deletes what it wrote.
property_of = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# All of Unicode, with more of what is hard: marks, ligatures, letters whose case changes their length, wildcards.
characters = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    st.sampled_from("éÉßẞıİIiſKÅﬁﬃŉǰΐΣσςаАёЁйЙ한각नमस्ते日本ゴガ🎉👩‍👩‍👧🇩🇪%_\\'\"<&;- \t"),
    st.characters(categories=["Mn", "Mc", "Me"]),
    st.characters(categories=["Lu", "Ll", "Lt", "Lm"]),
)
texts = st.text(characters, min_size=1, max_size=40).map(str.strip).filter(bool)


def without_accents(text: str) -> str:
    """Return the text without its accents, as a person on another keyboard types it.

    The iota below a Greek letter is none: in upper case it is a letter of its own.
    """
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn" or c.upper().isalpha())


def changed_case(text: str) -> list[str]:
    """Return the text in other letter cases."""
    return [text.upper(), text.lower(), text.title(), text.swapcase(), text.casefold()]


def found(api: APIClient, piece: str, id: int) -> bool:
    response = api.get("/api/thoughts/", {"search": piece})
    assert response.status_code == 200, response.content
    return id in {thought["id"] for thought in response.json()}


def store(api: APIClient, text: str) -> Any:
    Thought.objects.all().delete()
    WriteCount.objects.all().delete()
    response = api.post("/api/me/thoughts/", {"text": text}, format="json")
    assume(response.status_code == 201)
    return response.json()


@property_of
@given(text=texts, data=st.data())
@example(text="Straße", data=None)
@example(text="İstanbul ﬃ 각", data=None)
@example(text="τῇ ᾠδῇ", data=None)
def test_what_is_accepted_is_found_by_any_piece_of_it(bruce: APIClient, text: str, data: Any) -> None:
    thought = store(bruce, text)
    assert thought["text"] == text
    start = data.draw(st.integers(0, len(text) - 1)) if data else 0
    end = data.draw(st.integers(start + 1, len(text))) if data else len(text)
    piece = text[start:end]
    for variant in (piece, without_accents(piece), *changed_case(piece), *changed_case(without_accents(piece))):
        assert found(bruce, variant, thought["id"]), variant.encode("unicode_escape")


@property_of
@given(text=texts, piece=texts)
def test_a_search_finds_nothing_more_than_python_does(bruce: APIClient, text: str, piece: str) -> None:
    thought = store(bruce, text)
    assert found(bruce, piece, thought["id"]) == (fold(piece) in fold(text))


def walk(api: APIClient, path: str, rel: str, between: Callable[[], None]) -> list[list[int]]:
    """Return the ids of each page from this one on, with something done between two pages."""
    pages = []
    while path:
        response = api.get(path)
        assert response.status_code == 200, response.content
        pages.append([thought["id"] for thought in response.json()])
        url = urlsplit(links(response).get(rel, ""))
        path = f"{url.path}?{url.query}" if url.path else ""
        between()
        assert len(pages) < 200, "the pages do not end"
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
def test_every_row_is_visited_once_also_while_others_come_and_go(
    bruce: APIClient, count: int, limit: int, ordering: str, backwards: bool, search: str, changes: list[Any]
) -> None:
    Thought.objects.all().delete()
    kept = [Thought.objects.create(username="bruce", text="keep").id for _ in range(count)]
    passing = [Thought.objects.create(username="bruce", text="keep, for now").id for _ in range(5)]
    todo = iter(changes)

    def change() -> None:
        match next(todo, None):
            case "add", _:
                passing.append(Thought.objects.create(username="bruce", text="keep, new").id)
            case "delete", number:
                Thought.objects.filter(id=passing[number % len(passing)]).delete()

    first = 2**62 if (ordering == "id") == backwards else 0
    way, rel = ("before", "prev") if backwards else ("after", "next")
    path = f"/api/thoughts/?ordering={ordering}&limit={limit}&search={search}&{way}={first}"
    pages = walk(bruce, path, rel, change)
    if backwards:
        pages.reverse()
    visited = [each for page in pages for each in page]
    # In order, so each once at most; and whatever was there all the while, once at least.
    assert visited == sorted(set(visited), reverse=ordering == "-id")
    assert set(kept) <= set(visited) <= set(kept) | set(passing)
    assert all(len(page) <= limit for page in pages)
