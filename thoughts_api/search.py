"""Search for a substring, ignoring letter case, accents and invisible characters.

The column `folded` holds the text of a thought as `common.folding` folds it. A thought matches if its `folded`
contains the folded search text (`LIKE '%…%'`). On SQLite, a search tests every row.

PostgreSQL has a search index, which migration 0002 creates. An n-gram is a short substring, here of one to four
characters. A span is a block of consecutive ids. The index finds the rows that contain certain n-grams and whose ids
are in certain spans. These rows are candidates: LIKE then tests each of them.

On PostgreSQL, a page is read in steps. Each step covers the next ids, until the page is full:

1. The first step reads the rows in the order of the primary key. This fills the page if the substring is frequent.
2. The next steps use the search index. From the matches of the previous step, each step estimates how many more ids
   are needed to fill the page. It covers twice as many ids.
3. The last step covers all remaining ids. Only a search for a rare substring needs it, and then the index finds few
   candidates.

A search among one author's thoughts reads them in its first step instead, in the order of the index on author and id.
Few authors have more thoughts than this step covers.
"""

import math
from dataclasses import replace
from functools import partial, reduce

from django.conf import settings
from django.db import connections
from prometheus_client import Histogram

from common.api.exceptions import ServiceUnavailable
from common.folding import fold
from common.operations.slots import Slots
from common.registry import REGISTRY
from thoughts_api import replica
from thoughts_api.models import FOLDED_MAX_LENGTH
from thoughts_api.selection import COLUMNS, EVERYONE, ReadPage, Row, Selection, as_row, execute, order_by

# The letters of two scripts, the most frequent first. The SQL function in migration 0002 uses the same COMMON letters.
LATIN, CYRILLIC = " etaoinsrhldcumfpgwybvkxjqz", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
COMMON = frozenset(LATIN[:10] + CYRILLIC[:8])
RANK = {letter: rank for letters in (LATIN, CYRILLIC) for rank, letter in enumerate(letters, start=3)}
UNKNOWN_RANK = 33  # for all other characters
MAX_NGRAMS = 5  # a search looks up at most this many n-grams; more would take time and exclude few rows
WALK = 10  # the first step covers this many ids for each row of the page
WALK_OF_AUTHOR = 5000  # the first step covers this many thoughts of an author
NEAR = 2**15  # the second step covers at most this many ids
FAR = 2**20  # each later step except the last covers at most this many ids

STEPS = Histogram(
    "search_steps", "Steps of a search on PostgreSQL.", buckets=(1, 2, 3, 4, 5, 6, 8, 10, 15, 20), registry=REGISTRY
)
slots = Slots(settings.THREADS)  # slow searches take seconds, so they must leave one thread free


class TooManySearches(ServiceUnavailable):
    """Response 503, because this process is running as many searches as allowed."""

    default_detail = "Too many searches are running. Try again in a second."
    wait = 1


def search(text: str, within: Selection = EVERYONE) -> ReadPage:
    """Return a function that reads a page of the thoughts whose text contains `text`.

    `within` selects the thoughts to search: all thoughts, or those of one author.

    The function queries the read replica if it is usable, else the primary. It raises `TooManySearches` if too many
    searches are running. If folding leaves nothing of `text`, the function reads all thoughts, from the primary.
    """
    folded = fold(text)
    if not folded:
        return within.page
    return partial(_page, within, folded)


def _page(within: Selection, folded: str, ids: range, descending: bool, count: int) -> list[Row]:
    if not ids or len(folded) > FOLDED_MAX_LENGTH:
        return []
    pattern = folded.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    matches = within.filter(r"folded LIKE %s ESCAPE '\'", f"%{pattern}%")

    def query(alias: str) -> list[Row]:
        matches_on_alias = replace(matches, using=alias)
        if connections[alias].vendor == "postgresql":
            return _page_by_steps(matches_on_alias, folded, ids, descending, count)
        return matches_on_alias.page(ids, descending, count)

    with slots.hold(TooManySearches()):
        return replica.read(query)


def _page_by_steps(matches: Selection, folded: str, ids: range, descending: bool, count: int) -> list[Row]:
    steps = 1
    if matches.author is not None:
        rows, ids = walk_of_author(matches, ids, descending, count)
        width = NEAR
    else:
        walked = WALK * count
        rows, ids = walk(matches, ids, descending, count, walked)
        if not rows and not descending and len(ids) > NEAR + FAR:
            ids = skip_missing_ids(matches.using, ids)  # many of the oldest thoughts may have been deleted
        width = min(NEAR, _next_width(walked, len(rows), count - len(rows)))
    while ids and len(rows) < count:
        steps += 1
        step, ids = _split(ids, width, descending)
        # `ORDER BY id` could make the planner scan the primary key instead of the search index. `id + 0` prevents that.
        more = by_index(matches, folded, step).fetch(count - len(rows), descending, key="id + 0")
        rows += more
        width = _next_width(width, len(more), count - len(rows)) if width < FAR else len(ids)
    STEPS.observe(steps)
    return rows


def walk(matches: Selection, ids: range, descending: bool, count: int, width: int) -> tuple[list[Row], range]:
    """Read the matches among the first `width` ids, in the order of the primary key.

    In ascending order, the first id is the lowest of `ids`. In descending order, it is the highest id in `ids` that
    exists. Return up to `count` rows, and the ids that remain to be searched. In ascending order, the remaining ids end
    at the highest id that exists.
    """
    # The subquery `top` returns one row with the highest existing id. The left join keeps that row if nothing matches.
    step = matches.with_ids(ids).filter("id > highest - %s", width) if descending else matches.with_ids(ids[:width])
    rows = execute(
        matches.using,
        "SELECT highest, matching.* FROM"  # noqa: S608
        " (SELECT id AS highest FROM thoughts_api_thought WHERE id < %s ORDER BY id DESC LIMIT 1) AS top"
        f" LEFT JOIN LATERAL ({step.statement(count, descending)}) AS matching ON TRUE"
        f" ORDER BY {order_by('matching.id', descending)}",
        (ids.stop, *step.params),
    )
    highest = rows[0][0] if rows else -1
    remaining = range(ids.start, highest - width + 1) if descending else range(ids.start + width, highest + 1)
    return [as_row(*row) for _, *row in rows if row[0] is not None], remaining


def walk_of_author(matches: Selection, ids: range, descending: bool, count: int) -> tuple[list[Row], range]:
    """Read the matches among the author's first WALK_OF_AUTHOR thoughts.

    The first thoughts are those with the lowest ids, or if `descending`, those with the highest ids. Return up to
    `count` rows, and the ids that remain to be searched. The remaining ids end at the author's last thought.
    """
    own = replace(EVERYONE, author=matches.author, using=matches.using).with_ids(ids)
    own_rows = f"thoughts_api_thought WHERE {own.condition} ORDER BY"
    order, reverse_order = (order_by("username, id", each) for each in (descending, not descending))
    # PostgreSQL does not know how many thoughts an author has. Without the inner LIMIT, it may scan the whole table.
    rows = execute(
        matches.using,
        f"SELECT {COLUMNS} FROM (SELECT * FROM {own_rows} {order} LIMIT {WALK_OF_AUTHOR}) AS step"  # noqa: S608
        f" WHERE {matches.condition} ORDER BY {order} LIMIT {count}",
        (*own.params, *matches.params),
    )
    remaining = range(0)
    if len(rows) < count:
        [(next_id, last_id)] = execute(
            matches.using,
            f"SELECT (SELECT id FROM {own_rows} {order} OFFSET {WALK_OF_AUTHOR} LIMIT 1),"  # noqa: S608
            f" (SELECT id FROM {own_rows} {reverse_order} LIMIT 1)",
            (*own.params, *own.params),
        )
        if next_id is not None:
            remaining = range(last_id, next_id + 1) if descending else range(next_id, last_id + 1)
    return [as_row(*row) for row in rows], remaining


def skip_missing_ids(using: str, ids: range) -> range:
    """Return the part of the range that starts at the lowest existing id.

    If the range has no existing id, return an empty range.
    """
    sql = "SELECT id FROM thoughts_api_thought WHERE id >= %s ORDER BY id LIMIT 1"
    return next((range(lowest, ids.stop) for (lowest,) in execute(using, sql, (ids.start,))), range(0))


def by_index(matches: Selection, folded: str, ids: range) -> Selection:
    """Select the matches within a range of ids, using the search index.

    The condition on spans is omitted if the range has more than FAR ids, because it would list too many spans.
    """
    found = matches.filter(
        "thought_pieces(folded) @> %s::int4[] AND id + 0 BETWEEN %s AND %s", ngrams(folded), ids[0], ids[-1]
    )
    if matches.author is not None:
        found = found.filter("username = %s", matches.author)
    if len(ids) > FAR:
        return found
    spans = list(_spans(ids, 12)) if len(ids) <= 2**17 else [~span for span in _spans(ids, 17)]
    return found.filter("ARRAY[id >> 12, ~(id >> 17)] && %s::int8[]", spans)


def ngrams(folded: str) -> list[int]:
    """Return, as numbers, the n-grams that a search looks up in the index.

    The candidates are overlapping n-grams that together cover every character of the search text. The rarest of these
    candidates, at most MAX_NGRAMS, are returned. The rarity of an n-gram is estimated from its letters. The SQL
    function `thought_pieces` computes the same numbers for the text of a thought.
    """
    covering = [folded] if len(folded) < 3 else []
    end = 0
    for start in range(len(folded) - 2):
        long = start + 4 <= len(folded) and set(folded[start + 1 : start + 3]) <= COMMON
        if long or start + 3 > end:
            end = start + 3 + long
            covering.append(folded[start:end])
    return [_number(ngram) for ngram in sorted(set(covering), key=_rarity, reverse=True)[:MAX_NGRAMS]]


def _rarity(ngram: str) -> int:
    """Return a number that is higher if the letters of the n-gram are rarer."""
    return math.prod(RANK.get(letter, UNKNOWN_RANK) for letter in ngram)


def _number(ngram: str) -> int:
    """Convert an n-gram to a number, as the SQL function `thought_pieces` does."""
    return reduce(lambda number, letter: (number * 0x110000 + ord(letter)) % (2**31 - 1), ngram, 0)


def _split(ids: range, width: int, descending: bool) -> tuple[range, range]:
    """Split `ids` into the `width` ids of the next step, and the remaining ids."""
    return (ids[-width:], ids[:-width]) if descending else (ids[:width], ids[width:])


def _next_width(width: int, found: int, missing: int) -> int:
    """Return how many ids the next step covers.

    The previous step covered `width` ids and found `found` rows. The page still needs `missing` rows. At the same
    density of matches, `width * missing / found` more ids would contain them. The next step covers twice as many, but
    at least `2 * width` and at most FAR.
    """
    return min(FAR, max(2 * width, 2 * width * missing // found)) if found else FAR


def _spans(ids: range, bits: int) -> range:
    """Return the numbers of the spans of `2**bits` ids that contain these ids."""
    return range(ids[0] >> bits, (ids[-1] >> bits) + 1)
