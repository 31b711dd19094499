"""What the API reads: thoughts, selected in SQL, as it answers them.

Django's ORM takes longer to make a query than PostgreSQL to answer it; what is written and deleted is its own.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from common.folding import fold
from thoughts_api import replica, search
from thoughts_api.models import FOLDED_MAX_LENGTH

MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Selection:
    """Thoughts that meet a condition, a piece of SQL and its parameters, in one of DATABASES."""

    condition: str = "TRUE"
    params: tuple[Any, ...] = ()
    piece: str = ""  # the folded piece that is searched for
    using: str = DEFAULT_DB_ALIAS

    def that(self, condition: str, *params: Any) -> "Selection":
        """Return those of them that meet another condition too."""
        return replace(self, condition=f"{self.condition} AND {condition}", params=(*self.params, *params))

    def within(self, ids: range) -> "Selection":
        """Return those of them with these ids."""
        return self.that("id >= %s AND id < %s", ids.start, ids.stop)

    def page(self, ids: range, falling: bool, count: int) -> list[dict[str, Any]]:
        """Return the first `count` of those with these ids, from below, or from above if falling.

        What is searched for comes from the read replica, if there is one that is fit.
        """
        if not ids:
            return []
        if self.piece:
            return replica.read(lambda alias: replace(self, using=alias)._page(ids, falling, count))
        return self._page(ids, falling, count)

    def _page(self, ids: range, falling: bool, count: int) -> list[dict[str, Any]]:
        if self.piece and connections[self.using].vendor == "postgresql":
            return search.page(self, ids, falling, count)
        return self.within(ids).rows(count, falling)

    def rows(self, count: int, falling: bool, key: str = "id") -> list[dict[str, Any]]:
        """Return so many of them at most, the first by a key, from above if falling: a dict each."""
        return [_row(*row) for row in self._ask(self._first(count, falling, key), self.params)]

    def walk(self, ids: range, falling: bool, count: int, width: int) -> tuple[list[dict[str, Any]], range]:
        """Look for them in `width` of these ids: the lowest, or if falling, those from the highest that a thought has.

        Returns the first `count` of them, and the ids beyond, up to the highest that a thought has. On PostgreSQL.
        """
        near = self.within(ids).that("id > highest - %s", width) if falling else self.within(ids[:width])
        rows = self._ask(
            "SELECT highest, near.* FROM"  # noqa: S608
            " (SELECT id AS highest FROM thoughts_api_thought WHERE id < %s ORDER BY id DESC LIMIT 1) AS top"
            f" LEFT JOIN LATERAL ({near._first(count, falling)}) AS near ON TRUE ORDER BY {_order('near.id', falling)}",
            (ids.stop, *near.params),
        )
        highest = rows[0][0] if rows else -1
        beyond = range(ids.start, highest - width + 1) if falling else range(ids.start + width, highest + 1)
        return [_row(*row) for _, *row in rows if row[0] is not None], beyond

    def occupied(self, ids: range) -> range:
        """Return these ids from the lowest that a thought has; none if none has one."""
        sql = "SELECT id FROM thoughts_api_thought WHERE id >= %s ORDER BY id LIMIT 1"
        return next((range(lowest, ids.stop) for (lowest,) in self._ask(sql, (ids.start,))), range(0))

    def _first(self, count: int, falling: bool, key: str = "id") -> str:
        return (
            f"SELECT id, username, text, CAST(timestamp AS text) FROM thoughts_api_thought WHERE {self.condition}"  # noqa: S608
            f" ORDER BY {_order(key, falling)} LIMIT {count}"
        )

    def _ask(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql, params)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


EVERYONES = Selection()


def one(thought_id: int) -> dict[str, Any] | None:
    """Return the thought with this id, if there is one."""
    if thought_id > MAX_ID:
        return None
    return next(iter(EVERYONES.that("id = %s", thought_id).rows(1, falling=False)), None)


def by(username: str) -> Selection:
    """Return the thoughts of one author."""
    return EVERYONES.that("username = %s", username)


def containing(piece: str) -> Selection:
    """Return the thoughts whose text has this piece, whatever its letter case and accents."""
    folded = fold(piece)
    if len(folded) > FOLDED_MAX_LENGTH:
        return EVERYONES.that("FALSE")
    if not folded:
        return EVERYONES
    pattern = folded.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return replace(EVERYONES.that(r"folded LIKE %s ESCAPE '\'", f"%{pattern}%"), piece=folded)


def _order(key: str, falling: bool) -> str:
    return f"{key} {'DESC' if falling else 'ASC'}"


def _row(thought_id: int, username: str, text: str, timestamp: str) -> dict[str, Any]:
    # As Django REST framework writes it, from UTC, in which Django has both databases answer. To read a hundred as
    # datetimes and to write them would take half as long again as all else of their page.
    time = datetime.fromisoformat(timestamp).replace(tzinfo=None).isoformat()
    return {"id": thought_id, "username": username, "text": text, "timestamp": f"{time}Z"}
