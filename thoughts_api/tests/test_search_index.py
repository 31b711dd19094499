"""The search index of PostgreSQL; on SQLite these tests are not collected."""

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


def ask(sql: str, *params: object) -> list[list[int]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [value for (value,) in cursor.fetchall()]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(
        st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.sampled_from("the oаиж")),
        min_size=1,
        max_size=60,
    ),
    data=st.data(),
)
@example(text="\U0010ffff" * 40, data=None)
def test_the_pieces_of_a_part_are_among_those_of_the_text(db: None, text: str, data: st.DataObject | None) -> None:
    start = data.draw(st.integers(0, len(text) - 1)) if data else 0
    end = data.draw(st.integers(start + 1, len(text))) if data else len(text)
    (of_text,) = ask("SELECT thought_pieces(%s)", text)
    of_part = search.ngrams(text[start:end])
    assert of_part
    assert set(of_part) <= set(of_text)
    assert len(of_part) <= search.MAX_NGRAMS


def test_a_text_without_a_letter_has_no_piece() -> None:
    assert ask("SELECT thought_pieces('')") == [[]]


def test_a_piece_of_four_has_two_of_the_commonest_letters_in_its_middle() -> None:
    one_piece = [search.ngrams(piece) for piece in ("the ", "xhex", "жиаж")]
    assert [len(numbers) for numbers in one_piece] == [1, 1, 1]
    assert [len(search.ngrams(piece)) for piece in ("txex", "texx", "猫は窓辺")] == [2, 2, 2]
    # Each letter of the text is in a piece.
    assert len(search.ngrams("xtherx")) == 3


def test_every_step_but_the_first_is_along_the_index() -> None:
    write({id: f"Thought {id}" for id in range(1, 200)} | {2**22: "coffee"})
    with connection.cursor() as cursor:
        # The table is so small that reading all of it is the best plan.
        cursor.execute("SET LOCAL enable_seqscan = off")
    found = EVERYONE.filter("folded LIKE %s", "%coffee%")
    for width in (search.NEAR, search.FAR, 2**22):
        with CaptureQueriesContext(connection) as queries:
            search.by_index(found, "coffee", range(2**22 + 1 - width, 2**22 + 1)).fetch(100, key="id + 0")
        sql = queries.captured_queries[0]["sql"].replace("%", "%%")
        plan = "\n".join(str(line) for line in ask(f"EXPLAIN {sql}"))
        assert "Bitmap Index Scan on thought_by_piece" in plan
        [condition] = re.findall("Index Cond: (.*)", plan)
        assert ("&&" in condition) == (width <= search.FAR)
        assert "Sort Key: ((id + 0))" in plan
