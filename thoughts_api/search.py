"""How a page of a search is found on PostgreSQL, with the index of migration 0002.

The index has the pieces of up to four characters of each folded text, and the spans of ids that the thought is in, so
that a page is looked for near its start first. Each step looks through more ids than the one before, until the page is
full: what is frequent ends in the first step, and of what is rare there is little to read in the last. The index only
narrows; `folded LIKE` decides.
"""

from functools import reduce
from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, F, Max, Min
from django.db.models.expressions import RawSQL

if TYPE_CHECKING:
    from thoughts_api.models import ThoughtQuerySet

COMMON = frozenset(" etaoinsrhоеаинтср")  # noqa: RUF001, the commonest Latin and Cyrillic letters
MAX_PIECES = 8  # of one search; more would hardly narrow, and each costs
WALK = 10  # ids that the first step reads along the primary key, for each row of the page
STEPS = [(2**15, 12), (2**20, 17)]  # how many ids a step looks through, and the spans of 2**12 and 2**17 it does it by


def page(found: "ThoughtQuerySet", folded: str, ids: range, falling: bool, count: int) -> list[Any]:
    """Return the first `count` of the found thoughts that have these ids, from below, or from above if falling."""
    if falling:
        ids = _existing(found, ids)
    near, ids = _split(ids, WALK * count, falling)
    rows = list(found.within(near).order_by("-id" if falling else "id")[:count])
    if len(rows) < count and not falling:
        ids = _existing(found, ids)
    for width, span in [*STEPS, (len(ids), None)]:
        if ids and len(rows) < count:
            near, ids = _split(ids, width, falling)
            rows += _by_index(found, folded, near, span, falling)[: count - len(rows)]
    return rows


def pieces(folded: str) -> list[int]:
    """Return the numbers, as `thought_pieces` makes them, of pieces that cover a text; of a long one, the rarest."""
    covering = [folded] if len(folded) < 3 else []
    end = 0
    for start in range(len(folded) - 2):
        long = start + 4 <= len(folded) and set(folded[start + 1 : start + 3]) <= COMMON
        if long or start + 3 > end:
            end = start + 3 + long
            covering.append(folded[start:end])
    rarest = sorted(set(covering), key=lambda piece: sum(letter in COMMON for letter in piece))
    return [_number(piece) for piece in rarest[:MAX_PIECES]]


def _number(piece: str) -> int:
    return reduce(lambda number, letter: (number * 0x110000 + ord(letter)) % (2**31 - 1), piece, 0)


def _existing(found: "ThoughtQuerySet", ids: range) -> range:
    """Return the part of these ids from the first that is given to a thought to the last."""
    ends = found.model.objects.using(found.db).aggregate(first=Min("id", default=0), last=Max("id", default=0))
    return range(max(ids.start, ends["first"]), min(ids.stop, ends["last"] + 1))


def _split(ids: range, width: int, falling: bool) -> tuple[range, range]:
    """Return the first ids, as many as `width`, and the others."""
    return (ids[-width:], ids[:-width]) if falling else (ids[:width], ids[width:])


def _by_index(found: "ThoughtQuerySet", folded: str, ids: range, span: int | None, falling: bool) -> Any:
    # `id + 0`, because the primary key would tempt the planner to walk along it.
    condition, params = (
        "thought_pieces(folded) @> %s::int4[] AND id + 0 BETWEEN %s AND %s",
        [pieces(folded), ids[0], ids[-1]],
    )
    if span:
        spans = range(ids[0] >> span, (ids[-1] >> span) + 1)
        condition += " AND ARRAY[id >> 12, ~(id >> 17)] && %s::int8[]"
        params.append([each if span == STEPS[0][1] else ~each for each in spans])
    order = F("id") + 0
    where = RawSQL(condition, params, BooleanField())  # noqa: S611
    return found.filter(where).order_by(order.desc() if falling else order.asc())
