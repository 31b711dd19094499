"""Test that the steps of a search find the same rows as a scan of the table."""

from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common.folding import fold
from common.registry import REGISTRY
from thoughts_api import search
from thoughts_api.models import Thought

ALL = range(2**63 - 1)


def write(texts: dict[int, str]) -> None:
    """Create thoughts with these ids."""
    Thought.objects.bulk_create(
        Thought(id=id, username="bruce", text=text, folded=fold(text)) for id, text in texts.items()
    )


def page(substring: str, ids: range = ALL, descending: bool = False, count: int = 3) -> list[int]:
    return [row["id"] for row in search.search(substring)(ids, descending, count)]


def steps(substring: str, descending: bool = False, count: int = 3) -> list[str]:
    """Run a search, and return the kind of each SQL statement.

    On SQLite, a search has only one statement.

    "walk" statements read in the order of the primary key. "lowest" statements read the lowest existing id. The others
    use the search index: "spans" within narrow spans, "wide spans" within wide spans, and "all" without spans.
    """
    with CaptureQueriesContext(connection) as queries:
        page(substring, descending=descending, count=count)
    marks = {"&& '{-": "wide spans", "&& ": "spans", "thought_pieces": "all", "LIKE": "walk", "": "lowest"}
    return [next(step for mark, step in marks.items() if mark in query["sql"]) for query in queries.captured_queries]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make steps cover fewer ids, so that searching a small table needs all steps."""
    monkeypatch.setattr(search, "WALK", 2)
    monkeypatch.setattr(search, "NEAR", 20)
    monkeypatch.setattr(search, "FAR", 200_000)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(
    ("substring", "expected"),
    [
        ("everywhere", ["walk"]),
        ("at once", ["walk", "spans", "wide spans"]),
        ("early", ["walk", "lowest", "spans"]),
        ("soon", ["walk", "lowest", "spans", "spans"]),
        ("later", ["walk", "lowest", "spans", "spans", "spans", "wide spans"]),
        ("at last", ["walk", "lowest", "spans", "wide spans", "all"]),
        ("nowhere", ["walk", "lowest", "spans", "wide spans", "all"]),
    ],
)
def test_each_step_covers_the_ids_that_should_fill_the_page(substring: str, expected: list[str]) -> None:
    words = {10: "early", 11: "later", 12: "early", 13: "soon", 14: "early", 50: "soon", 80: "soon"}
    words |= {3: "at once", 5: "at once", 19: "at once", 58: "later", 150_000: "later", 900_000: "at last"}
    texts = {id: f"everywhere {words.get(id, '')}" for id in [*range(1, 100), 150_000, 900_000]}
    write(texts)
    assert page(substring) == [id for id, text in sorted(texts.items()) if substring in text][:3]
    assert steps(substring) == (expected if connection.vendor == "postgresql" else ["walk"])


@pytest.mark.django_db
@pytest.mark.usefixtures("small_steps")
def test_descending_search_starts_at_the_highest_existing_id() -> None:
    write(dict.fromkeys(range(7000000, 7000010), "tea") | {5: "coffee"})
    assert page("tea", descending=True) == [7_000_009, 7_000_008, 7_000_007]
    assert steps("tea", descending=True) == ["walk"]
    assert page("coffee", descending=True) == page("coffee") == [5]


@pytest.mark.django_db
@pytest.mark.usefixtures("small_steps")
def test_ascending_search_starts_at_the_lowest_existing_id() -> None:
    write(dict.fromkeys(range(7_000_000, 7_000_010), "tea"))
    assert page("tea") == [7_000_000, 7_000_001, 7_000_002]
    assert page("tea", range(7_000_004, 2**63 - 1)) == [7_000_004, 7_000_005, 7_000_006]
    assert steps("tea") == (["walk", "lowest", "spans"] if connection.vendor == "postgresql" else ["walk"])


@pytest.mark.django_db
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("substring", ["tea", "coffee"])
def test_small_table_needs_only_the_first_step(substring: str, descending: bool) -> None:
    ids = range(1, 10 * search.WALK)
    write(dict.fromkeys(ids, "tea"))
    assert page(substring, descending=descending, count=10) == (
        sorted(ids, reverse=descending)[:10] if substring == "tea" else []
    )
    assert steps(substring, descending=descending, count=10) == ["walk"]


@pytest.mark.django_db
@pytest.mark.parametrize("descending", [False, True])
def test_empty_table_has_no_match(descending: bool) -> None:
    assert page("tea", descending=descending) == []


@pytest.mark.django_db
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("width", [2**12, 2**15, 2**17, 2**20, 2**21, 2**40])
def test_ids_at_the_boundaries_of_a_step_are_found(width: int, descending: bool) -> None:
    ids = [1, width - 1, width, width + 1, 2 * width - 1, 2 * width, 2 * width + 1, 3 * width + 1001, 3 * width + 1002]
    write(dict.fromkeys(ids, "tea"))
    assert page("tea", descending=descending, count=100) == sorted(ids, reverse=descending)
    for first in ids:
        within = [id for id in ids if first <= id < 3 * width]
        assert page("TEA", range(first, 3 * width), descending, 100) == sorted(within, reverse=descending)


@pytest.mark.django_db
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    texts=st.dictionaries(
        st.integers(1, 900_000) | st.integers(1, 40), st.text("abé猫🎉 %", min_size=1, max_size=8), max_size=40
    ),
    substring=st.text("abé猫🎉 %", min_size=1, max_size=4),
    start=st.integers(0, 60),
    stop=st.integers(0, 60) | st.just(2**63 - 1),
    descending=st.booleans(),
    count=st.integers(1, 6),
)
@example(texts={1: "ab", 2: "ba"}, substring="ab", start=0, stop=2**63 - 1, descending=True, count=1)
def test_page_has_the_same_rows_as_a_scan_of_the_table(
    small_steps: None, texts: dict[int, str], substring: str, start: int, stop: int, descending: bool, count: int
) -> None:
    with transaction.atomic():
        write(texts)
        found = [id for id, text in texts.items() if start <= id < stop and fold(substring) in fold(text)]
        assert page(substring, range(start, stop), descending, count) == sorted(found, reverse=descending)[:count]
        transaction.set_rollback(True)


@pytest.fixture
def drop_the_index(transactional_db: None) -> Iterator[Callable[[], object]]:
    """Return a function that drops the search index.

    The function reverts the migrations after 0001. After the test, the fixture applies these migrations again.
    """
    yield lambda: call_command("migrate", "thoughts_api", "0001", verbosity=0)
    call_command("migrate", "thoughts_api", verbosity=0)


def test_thoughts_older_than_the_index_are_found(
    drop_the_index: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    write({1: "cocoa", 2: "cocoa", 3: "cocoa", 4: "Tea", 5: "猫は窓辺で夢を見る。", 6: "🎉"})
    drop_the_index()
    call_command("migrate", "thoughts_api", verbosity=0)
    # The first step covers only the three thoughts about cocoa. The index must find the others.
    monkeypatch.setattr(search, "WALK", 1)
    assert [page(substring) for substring in ("tea", "窓辺", "🎉", "é", "milk")] == [[4], [5], [6], [4], []]


def test_interrupted_migration_can_be_run_again(drop_the_index: Callable[[], object]) -> None:
    write({1: "Tea"})
    drop_the_index()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CREATE INDEX thought_by_piece ON thoughts_api_thought (id)")
    call_command("migrate", "thoughts_api", verbosity=0)
    assert page("tea") == [1]


@pytest.mark.django_db
def test_metric_counts_the_steps(small_steps: None) -> None:
    if connection.vendor != "postgresql":  # a search on SQLite has no steps
        return
    write(dict.fromkeys(range(1, 30), "thought"))
    before = REGISTRY.get_sample_value("search_steps_sum") or 0
    executed = steps("nothing")
    assert REGISTRY.get_sample_value("search_steps_sum") == before + len(
        [step for step in executed if step != "lowest"]
    )
