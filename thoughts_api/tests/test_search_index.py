"""Test the search index on PostgreSQL. conftest.py excludes this file on SQLite."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from thoughts_api import search
from thoughts_api.selection import EVERYONE
from thoughts_api.tests.test_search_steps import write

pytestmark = pytest.mark.django_db


def query(sql: str, *params: object) -> list[list[int]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [value for (value,) in cursor.fetchall()]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    text=st.text(
        st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.sampled_from("the oаиж")),
        min_size=1,
        max_size=60,
    ),
    data=st.data(),
)
@example(text="\U0010ffff" * 40, data=None)
def test_text_has_the_ngrams_of_its_substrings(db: None, text: str, data: st.DataObject | None) -> None:
    start = data.draw(st.integers(0, len(text) - 1)) if data else 0
    end = data.draw(st.integers(start + 1, len(text))) if data else len(text)
    (of_text,) = query("SELECT thought_pieces(%s)", text)
    of_substring = search.ngrams(text[start:end])
    assert of_substring
    assert set(of_substring) <= set(of_text)
    assert len(of_substring) <= search.MAX_NGRAMS


def test_empty_text_has_no_ngram() -> None:
    assert query("SELECT thought_pieces('')") == [[]]


def test_four_grams_have_two_common_letters_in_the_middle() -> None:
    one_ngram = [search.ngrams(text) for text in ("the ", "xhex", "жиаж")]
    assert [len(numbers) for numbers in one_ngram] == [1, 1, 1]
    assert [len(search.ngrams(text)) for text in ("txex", "texx", "猫は窓辺")] == [2, 2, 2]
    # Each letter of the text is in at least one n-gram.
    assert len(search.ngrams("xtherx")) == 3


def test_every_step_but_the_first_uses_the_index() -> None:
    write({id: f"Thought {id}" for id in range(1, 200)} | {2**22: "coffee"})
    with connection.cursor() as cursor:
        # For such a small table, PostgreSQL would otherwise prefer a sequential scan.
        cursor.execute("SET LOCAL enable_seqscan = off")
    found = EVERYONE.filter("folded LIKE %s", "%coffee%")
    for width in (search.NEAR, search.FAR, 2**22):
        with CaptureQueriesContext(connection) as queries:
            search.by_index(found, "coffee", range(2**22 + 1 - width, 2**22 + 1)).fetch(100, key="id + 0")
        sql = queries.captured_queries[0]["sql"].replace("%", "%%")
        plan = "\n".join(str(line) for line in query(f"EXPLAIN {sql}"))
        assert "Bitmap Index Scan on thought_by_piece" in plan
        [condition] = re.findall("Index Cond: (.*)", plan)
        assert ("&&" in condition) == (width <= search.FAR)
        assert "Sort Key: ((id + 0))" in plan
