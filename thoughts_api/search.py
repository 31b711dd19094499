"""Find a page of the thoughts whose text contains a substring, whatever its letter case and accents.

SQLite compares row by row. PostgreSQL has the index of migration 0002, which knows the n-grams of one to four
characters of each folded text, and the spans of ids that the thought is in. A page is found step by step, from where it
starts: along the primary key first, then by the index within a range of ids. Each step looks through more ids than the
one before, twice as many as should fill the page by what that one found. What is frequent ends in the first step, and
of what is rare there is little to read in the last. The index only narrows down the rows; `folded LIKE` decides.
"""

import logging
import math
import threading
from dataclasses import replace
from functools import partial, reduce

from django.conf import settings
from django.db import connections

from common.api.exceptions import ServiceUnavailable
from common.folding import fold
from thoughts_api import replica
from thoughts_api.models import FOLDED_MAX_LENGTH
from thoughts_api.selection import EVERYONE, Page, Row, Selection, as_row, execute, order_by

# Letters, the commonest first; the function of migration 0002 knows the same COMMON ones.
LATIN, CYRILLIC = " etaoinsrhldcumfpgwybvkxjqz", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
COMMON = frozenset(LATIN[:10] + CYRILLIC[:8])
RANK = {letter: rank for letters in (LATIN, CYRILLIC) for rank, letter in enumerate(letters, start=3)}
UNKNOWN_RANK = 33  # of a letter of other scripts, and of signs
MAX_NGRAMS = 5  # of one search; more would hardly narrow it down, and each costs
WALK = 10  # ids that the first step looks through for each row of the page
NEAR = 2**15  # ids that the second step looks through at most
FAR = 2**20  # ids that each of the others looks through; the last one looks through all that are left

# A slow search takes seconds. One thread stays free for all other requests, unless it is the only one.
slots = threading.BoundedSemaphore(max(1, settings.THREADS - 1))
logger = logging.getLogger(__name__)


class TooManySearches(ServiceUnavailable):
    """503: this process runs as many searches as it may at once."""

    default_detail = "Too many searches are running. Try again in a second."
    wait = 1


def search(text: str) -> Page:
    """Return the function that reads a page of the thoughts whose text contains `text`.

    The function asks the read replica, while that is usable. It raises `TooManySearches` at once, without waiting, if
    no search may begin now. A text of accents alone matches all thoughts, which is no search.
    """
    folded = fold(text)
    if not folded:
        return EVERYONE.page
    return partial(_page, folded)


def _page(folded: str, ids: range, descending: bool, count: int) -> list[Row]:
    if not ids or len(folded) > FOLDED_MAX_LENGTH:
        return []
    pattern = folded.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    matches = EVERYONE.filter(r"folded LIKE %s ESCAPE '\'", f"%{pattern}%")

    def query(alias: str) -> list[Row]:
        here = replace(matches, using=alias)
        if connections[alias].vendor == "postgresql":
            return _page_by_steps(here, folded, ids, descending, count)
        return here.page(ids, descending, count)

    if not slots.acquire(blocking=False):
        logger.warning("Refused a search: all but one of %s threads are searching.", settings.THREADS)
        raise TooManySearches
    try:
        return replica.read(query)
    finally:
        slots.release()


def _page_by_steps(matches: Selection, folded: str, ids: range, descending: bool, count: int) -> list[Row]:
    walked = WALK * count
    rows, ids = walk(matches, ids, descending, count, walked)
    if not rows and not descending and len(ids) > NEAR + FAR:
        ids = from_the_lowest_id(matches.using, ids)  # the oldest thoughts may have been deleted
    width = min(NEAR, _next_width(walked, len(rows), count - len(rows)))
    while ids and len(rows) < count:
        near, ids = _split(ids, width, descending)
        # `id + 0`, because the primary key would tempt the planner to walk along it.
        more = by_index(matches, folded, near).fetch(count - len(rows), descending, key="id + 0")
        rows += more
        width = _next_width(width, len(more), count - len(rows)) if width < FAR else len(ids)
    return rows


def walk(matches: Selection, ids: range, descending: bool, count: int, width: int) -> tuple[list[Row], range]:
    """Look along the primary key through `width` ids: from the lowest, or from the highest that a thought has.

    Return up to `count` rows, and the ids that are left, up to the highest that a thought has.
    """
    near = matches.with_ids(ids).filter("id > highest - %s", width) if descending else matches.with_ids(ids[:width])
    rows = execute(
        matches.using,
        "SELECT highest, near.* FROM"  # noqa: S608
        " (SELECT id AS highest FROM thoughts_api_thought WHERE id < %s ORDER BY id DESC LIMIT 1) AS top"
        f" LEFT JOIN LATERAL ({near.statement(count, descending)}) AS near ON TRUE"
        f" ORDER BY {order_by('near.id', descending)}",
        (ids.stop, *near.params),
    )
    highest = rows[0][0] if rows else -1
    left = range(ids.start, highest - width + 1) if descending else range(ids.start + width, highest + 1)
    return [as_row(*row) for _, *row in rows if row[0] is not None], left


def from_the_lowest_id(using: str, ids: range) -> range:
    """Return these ids from the lowest that a thought has; an empty range if no thought has one of them."""
    sql = "SELECT id FROM thoughts_api_thought WHERE id >= %s ORDER BY id LIMIT 1"
    return next((range(lowest, ids.stop) for (lowest,) in execute(using, sql, (ids.start,))), range(0))


def by_index(matches: Selection, folded: str, ids: range) -> Selection:
    """Return the matches with these ids, found by the index: by spans of ids, unless these are too many."""
    found = matches.filter(
        "thought_pieces(folded) @> %s::int4[] AND id + 0 BETWEEN %s AND %s", ngrams(folded), ids[0], ids[-1]
    )
    if len(ids) > FAR:
        return found
    spans = list(_spans(ids, 12)) if len(ids) <= 2**17 else [~span for span in _spans(ids, 17)]
    return found.filter("ARRAY[id >> 12, ~(id >> 17)] && %s::int8[]", spans)


def ngrams(folded: str) -> list[int]:
    """Return the numbers of n-grams that cover a text, the rarest by their letters; `thought_pieces` counts alike."""
    covering = [folded] if len(folded) < 3 else []
    end = 0
    for start in range(len(folded) - 2):
        long = start + 4 <= len(folded) and set(folded[start + 1 : start + 3]) <= COMMON
        if long or start + 3 > end:
            end = start + 3 + long
            covering.append(folded[start:end])
    return [_number(ngram) for ngram in sorted(set(covering), key=_rarity, reverse=True)[:MAX_NGRAMS]]


def _rarity(ngram: str) -> int:
    return math.prod(RANK.get(letter, UNKNOWN_RANK) for letter in ngram)


def _number(ngram: str) -> int:
    return reduce(lambda number, letter: (number * 0x110000 + ord(letter)) % (2**31 - 1), ngram, 0)


def _split(ids: range, width: int, descending: bool) -> tuple[range, range]:
    """Return the ids of the next step, as many as `width`, and the others."""
    return (ids[-width:], ids[:-width]) if descending else (ids[:width], ids[width:])


def _next_width(width: int, found: int, missing: int) -> int:
    """Return how many ids the next step looks through: twice as many as should have the rows that are missing."""
    return min(FAR, max(2 * width, 2 * width * missing // found)) if found else FAR


def _spans(ids: range, bits: int) -> range:
    return range(ids[0] >> bits, (ids[-1] >> bits) + 1)
