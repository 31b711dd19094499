"""Test lists and searches of one author's thoughts, and the index that both use."""

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from common.folding import fold
from thoughts_api import search
from thoughts_api.models import Thought
from thoughts_api.selection import by_author
from thoughts_api.tests.test_pagination import ids, links

pytestmark = pytest.mark.django_db

ALL = range(2**63 - 1)


def write(*thoughts: tuple[str, str]) -> list[int]:
    """Create a thought for each pair (author, text), and return the ids."""
    made = [Thought(username=username, text=text, folded=fold(text)) for username, text in thoughts]
    return [thought.id for thought in Thought.objects.bulk_create(made)]


def test_username_lists_the_thoughts_of_one_author(anonymous: APIClient) -> None:
    one, _, three = write(("bruce", "One"), ("stephen", "Two"), ("bruce", "Three"))
    assert ids(anonymous.get("/api/thoughts/?username=bruce")) == [one, three]
    assert ids(anonymous.get("/api/thoughts/?username=bruce&ordering=-id")) == [three, one]
    assert anonymous.get("/api/thoughts/?username=unknown").json() == []


@pytest.mark.parametrize("name", ["Bruce", "bruc", "bruce ", " bruce", "%", "bru_e", "brucé", "bruce\u200b"])
def test_username_must_match_exactly(anonymous: APIClient, name: str) -> None:
    write(("bruce", "One"))
    assert anonymous.get("/api/thoughts/", {"username": name}).json() == []


def test_username_may_have_any_character(anonymous: APIClient) -> None:
    names = ["a b", "a+b", "a&b", "a%b", "Łukasz", "猫", "🎉", "a" * 50]
    written = write(*((name, "One") for name in names))
    assert [ids(anonymous.get("/api/thoughts/", {"username": name})) for name in names] == [[id] for id in written]


@pytest.mark.parametrize("query", ["username=", f"username={'a' * 51}", "username=%00", "username=a&username=b"])
def test_error_names_an_invalid_username(anonymous: APIClient, query: str) -> None:
    response = anonymous.get(f"/api/thoughts/?{query}")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["username"]


def test_search_within_one_author(anonymous: APIClient) -> None:
    tea, *_ = write(("bruce", "Tea"), ("stephen", "Tea"), ("bruce", "Coffee"))
    assert ids(anonymous.get("/api/thoughts/?username=bruce&search=TEA")) == [tea]
    assert ids(anonymous.get("/api/thoughts/?username=bruce&search=milk")) == []


@pytest.mark.parametrize("search", ["", "tea"])
@pytest.mark.parametrize("ordering", ["id", "-id"])
def test_links_keep_the_author(anonymous: APIClient, ordering: str, search: str) -> None:
    expected = write(*[("bruce", "Tea")] * 5)
    write(("stephen", "Tea"), ("brucd", "Tea"), ("brucf", "Tea"))
    if ordering == "-id":
        expected.reverse()
    response = anonymous.get(f"/api/thoughts/?username=bruce&search={search}&limit=2&ordering={ordering}")
    assert ids(response) == expected[:2]
    response = anonymous.get(links(response)["next"])
    assert ids(response) == expected[2:4]
    assert ids(anonymous.get(links(response)["next"])) == expected[4:]
    assert ids(anonymous.get(links(response)["prev"])) == expected[:2]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("author", ["first", "last"])
def test_list_of_one_authors_thoughts_uses_the_author_index(author: str, descending: bool) -> None:
    write(*[("first", "Tea")] * 2000, *[("last", "Tea")] * 2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        by_author(author).page(ALL, descending, 101)
    plan = explain(queries)
    if connection.vendor == "postgresql":
        assert re.findall("Index Scan .*using (\\w+)", plan) == ["thought_by_author"]
        assert "Filter" not in plan
    else:
        assert "USING INDEX thought_by_author (username=? AND id>? AND id<?)" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


def test_first_step_of_a_search_by_author_uses_the_author_index() -> None:
    write(*((author, f"Tea number {number}") for number in range(1500) for author in ("ada", "bruce", "cleo")))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with pytest.MonkeyPatch.context() as patch, CaptureQueriesContext(connection) as queries:
        patch.setattr(search, "WALK_OF_AUTHOR", 100)
        assert search.search("coffee", by_author("bruce"))(ALL, False, 101) == []
    plan = explain(queries)
    if connection.vendor == "postgresql":
        # Without the inner LIMIT, the planner would scan the whole table if it were large and the text rare.
        assert re.search("Limit.*Subquery Scan on step.*Limit.*thought_by_author", plan, re.DOTALL)
    assert "thought_by_author" in plan


def explain(queries: CaptureQueriesContext) -> str:
    """Return the plan of the first captured query."""
    with connection.cursor() as cursor:
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {queries.captured_queries[0]['sql'].replace('%', '%%')}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    thoughts=st.lists(st.tuples(st.sampled_from(["bruce", "stephen"]), st.text("abé ", min_size=1, max_size=4))),
    substring=st.text("abé", max_size=2),
    start=st.integers(0, 30),
    stop=st.integers(0, 60) | st.none(),
    descending=st.booleans(),
    count=st.integers(1, 6),
)
def test_page_equals_a_scan(
    monkeypatch: pytest.MonkeyPatch,
    thoughts: list[tuple[str, str]],
    substring: str,
    start: int,
    stop: int | None,
    descending: bool,
    count: int,
) -> None:
    # With these values, even a search of a few thoughts needs all steps.
    for name, value in (("WALK_OF_AUTHOR", 3), ("NEAR", 5), ("FAR", 20)):
        monkeypatch.setattr(search, name, value)
    with transaction.atomic():
        written = write(*thoughts)
        first = written[0] if written else 0
        within = range(first + start, ALL.stop if stop is None else first + stop)
        found = [
            id
            for id, (username, text) in zip(written, thoughts, strict=True)
            if username == "bruce" and id in within and fold(substring) in fold(text)
        ]
        rows = search.search(substring, by_author("bruce"))(within, descending, count)
        assert [row["id"] for row in rows] == sorted(found, reverse=descending)[:count]
        transaction.set_rollback(True)
