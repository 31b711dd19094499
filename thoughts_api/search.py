"""How a page of a search is found on PostgreSQL, with the index of migration 0002.

The index has the pieces of up to four characters of each folded text, and the spans of ids that the thought is in, so
that a page is looked for near its start first. Each step looks through more ids than the one before, until the page is
full: what is frequent ends in the first step, and of what is rare there is little to read in the last. The index only
narrows; `folded LIKE` decides.
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
STEPS = [(2**15, 12), (2**20, 17)]  # how many ids a step looks through, and the spans of 2**12 and 2**17 it does it by


def page(found: "Selection", ids: range, falling: bool, count: int) -> list[dict[str, Any]]:
    """Return the first `count` of the found thoughts that have these ids, from below, or from above if falling."""
    rows, ids = found.walk(ids, falling, count, WALK * count)
    if not rows and not falling and len(ids) > sum(width for width, _ in STEPS):
        ids = found.occupied(ids)  # the oldest thoughts may be gone: the steps must not end before the first there is
    for width, span in [*STEPS, (len(ids), None)]:
        if ids and len(rows) < count:
            near, ids = _split(ids, width, falling)
            # `id + 0`, because the primary key would tempt the planner to walk along it.
            rows += _by_index(found, near, span).rows(count - len(rows), falling, key="id + 0")
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


def _by_index(found: "Selection", ids: range, span: int | None) -> "Selection":
    """Return those of the found thoughts with these ids, looked for by the index."""
    found = found.that(
        "thought_pieces(folded) @> %s::int4[] AND id + 0 BETWEEN %s AND %s", pieces(found.piece), ids[0], ids[-1]
    )
    if span:
        spans = range(ids[0] >> span, (ids[-1] >> span) + 1)
        wanted = [each if span == STEPS[0][1] else ~each for each in spans]
        found = found.that("ARRAY[id >> 12, ~(id >> 17)] && %s::int8[]", wanted)
    return found
