"""How a page of a search is found on PostgreSQL, with the index of migration 0002.

The index has the pieces of up to four characters of each folded text, and the spans of ids that the thought is in, so
that a page is looked for near its start first. Each step looks through more ids than the one before, as many as should
fill the page by what that one found: what is frequent ends in the first, and of what is rare there is little to read in
the last. The index only narrows; `folded LIKE` decides.
"""

import math
from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thoughts_api.selection import Selection

# Letters, the commonest first; the function of migration 0002 knows the same COMMON ones.
LATIN, CYRILLIC = " etaoinsrhldcumfpgwybvkxjqz", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
COMMON = frozenset(LATIN[:10] + CYRILLIC[:8])
RANK = {letter: rank for letters in (LATIN, CYRILLIC) for rank, letter in enumerate(letters, start=3)}
UNKNOWN_RANK = 33  # of a letter of other scripts, and of signs
MAX_PIECES = 5  # of one search; more would hardly narrow, and each costs
WALK = 10  # ids that the first step reads along the primary key, for each row of the page
NEAR = 2**15  # ids that the first step by the index looks through at most
FAR = 2**20  # ids that each of the others does, but for the last, which looks through all that are left


def page(found: "Selection", ids: range, falling: bool, count: int) -> list[dict[str, Any]]:
    """Return the first `count` of the found thoughts that have these ids, from below, or from above if falling."""
    walked = WALK * count
    rows, ids = found.walk(ids, falling, count, walked)
    if not rows and not falling and len(ids) > NEAR + FAR:
        ids = found.occupied(ids)  # the oldest thoughts may be gone: the steps must not end before the first there is
    width = min(NEAR, _next_width(walked, len(rows), count - len(rows)))
    while ids and len(rows) < count:
        near, ids = _split(ids, width, falling)
        # `id + 0`, because the primary key would tempt the planner to walk along it.
        more = _by_index(found, near).rows(count - len(rows), falling, key="id + 0")
        rows += more
        width = _next_width(width, len(more), count - len(rows)) if width < FAR else len(ids)
    return rows


def pieces(folded: str) -> list[int]:
    """Return the numbers, as `thought_pieces` makes them, of pieces that cover a text: the rarest, by their letters."""
    covering = [folded] if len(folded) < 3 else []
    end = 0
    for start in range(len(folded) - 2):
        long = start + 4 <= len(folded) and set(folded[start + 1 : start + 3]) <= COMMON
        if long or start + 3 > end:
            end = start + 3 + long
            covering.append(folded[start:end])
    return [_number(piece) for piece in sorted(set(covering), key=_rarity, reverse=True)[:MAX_PIECES]]


def _rarity(piece: str) -> int:
    return math.prod(RANK.get(letter, UNKNOWN_RANK) for letter in piece)


def _number(piece: str) -> int:
    return reduce(lambda number, letter: (number * 0x110000 + ord(letter)) % (2**31 - 1), piece, 0)


def _split(ids: range, width: int, falling: bool) -> tuple[range, range]:
    """Return the first ids, as many as `width`, and the others."""
    return (ids[-width:], ids[:-width]) if falling else (ids[:width], ids[width:])


def _next_width(width: int, found: int, missing: int) -> int:
    """Return how many ids the next step looks through: twice as many as should have those that are missing."""
    return min(FAR, max(2 * width, 2 * width * missing // found)) if found else FAR


def _by_index(found: "Selection", ids: range) -> "Selection":
    """Return those of the found thoughts with these ids, looked for by the index: by spans of ids, unless too many."""
    found = found.that(
        "thought_pieces(folded) @> %s::int4[] AND id + 0 BETWEEN %s AND %s", pieces(found.piece), ids[0], ids[-1]
    )
    if len(ids) > FAR:
        return found
    spans = list(_spans(ids, 12)) if len(ids) <= 2**17 else [~span for span in _spans(ids, 17)]
    return found.that("ARRAY[id >> 12, ~(id >> 17)] && %s::int8[]", spans)


def _spans(ids: range, bits: int) -> range:
    return range(ids[0] >> bits, (ids[-1] >> bits) + 1)
