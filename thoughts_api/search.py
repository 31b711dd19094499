"""Search for a substring of the text, ignoring letter case and accents.

SQLite compares row by row. PostgreSQL uses the index of migration 0002: the n-grams of each folded text, of one to four
characters, and the id ranges ("spans") that contain the thought. The index narrows down the rows; `folded LIKE`
decides.

A page is found in steps. The first step walks along the primary key. Each further step uses the index within a range of
ids. From the matches so far, it estimates how many ids would fill the page, and covers twice as many. A frequent
substring needs only the first step. A rare one has few index entries to read in the last step.
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
from thoughts_api.selection import EVERYONE, ReadPage, Row, Selection, as_row, execute, order_by

# Letters, the commonest first. The SQL function of migration 0002 has the same COMMON letters.
LATIN, CYRILLIC = " etaoinsrhldcumfpgwybvkxjqz", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
COMMON = frozenset(LATIN[:10] + CYRILLIC[:8])
RANK = {letter: rank for letters in (LATIN, CYRILLIC) for rank, letter in enumerate(letters, start=3)}
UNKNOWN_RANK = 33  # other scripts, punctuation, symbols
MAX_NGRAMS = 5  # per search; more would cost time and exclude few rows
WALK = 10  # ids that the first step covers, for each row of the page
NEAR = 2**15  # ids that the second step covers at most
FAR = 2**20  # ids that a later step covers at most; the last step covers the rest

# A slow search takes seconds. One thread stays free for other requests, unless there is only one.
slots = threading.BoundedSemaphore(max(1, settings.THREADS - 1))
logger = logging.getLogger(__name__)


class TooManySearches(ServiceUnavailable):
    """503: this process already runs as many searches as allowed."""

    default_detail = "Too many searches are running. Try again in a second."
    wait = 1


def search(text: str) -> ReadPage:
    """Return a function that reads a page of the thoughts whose text contains `text`.

    The function queries the read replica if that is usable. It raises `TooManySearches` if too many searches are
    running. A text of accents alone matches all thoughts, so nothing is searched.
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
        ids = skip_missing_ids(matches.using, ids)  # the oldest thoughts may have been deleted
    width = min(NEAR, _next_width(walked, len(rows), count - len(rows)))
    while ids and len(rows) < count:
        near, ids = _split(ids, width, descending)
        # `id + 0` keeps the planner from walking along the primary key.
        more = by_index(matches, folded, near).fetch(count - len(rows), descending, key="id + 0")
        rows += more
        width = _next_width(width, len(more), count - len(rows)) if width < FAR else len(ids)
    return rows


def walk(matches: Selection, ids: range, descending: bool, count: int, width: int) -> tuple[list[Row], range]:
    """Search `width` ids along the primary key.

    It starts at the lowest id or, descending, at the highest existing one. Return up to `count` rows, and the remaining
    ids, up to the highest existing one.
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


def skip_missing_ids(using: str, ids: range) -> range:
    """Return the range from its lowest existing id.

    It is empty if no thought is in it.
    """
    sql = "SELECT id FROM thoughts_api_thought WHERE id >= %s ORDER BY id LIMIT 1"
    return next((range(lowest, ids.stop) for (lowest,) in execute(using, sql, (ids.start,))), range(0))


def by_index(matches: Selection, folded: str, ids: range) -> Selection:
    """Select the matches within an id range through the index.

    It uses spans, unless there are too many.
    """
    found = matches.filter(
        "thought_pieces(folded) @> %s::int4[] AND id + 0 BETWEEN %s AND %s", ngrams(folded), ids[0], ids[-1]
    )
    if len(ids) > FAR:
        return found
    spans = list(_spans(ids, 12)) if len(ids) <= 2**17 else [~span for span in _spans(ids, 17)]
    return found.filter("ARRAY[id >> 12, ~(id >> 17)] && %s::int8[]", spans)


def ngrams(folded: str) -> list[int]:
    """Return the numbers of the rarest n-grams that cover a text.

    Rarity is estimated from the letters. The SQL function `thought_pieces` computes the same numbers.
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
    return math.prod(RANK.get(letter, UNKNOWN_RANK) for letter in ngram)


def _number(ngram: str) -> int:
    return reduce(lambda number, letter: (number * 0x110000 + ord(letter)) % (2**31 - 1), ngram, 0)


def _split(ids: range, width: int, descending: bool) -> tuple[range, range]:
    """Return the `width` ids of the next step, and the others."""
    return (ids[-width:], ids[:-width]) if descending else (ids[:width], ids[width:])


def _next_width(width: int, found: int, missing: int) -> int:
    """Return the width of the next step: twice the estimate for the missing rows."""
    return min(FAR, max(2 * width, 2 * width * missing // found)) if found else FAR


def _spans(ids: range, bits: int) -> range:
    return range(ids[0] >> bits, (ids[-1] >> bits) + 1)
