"""Read thoughts with SQL, as the dicts that the API returns.

The ORM takes more CPU time to build one of these queries than PostgreSQL takes to answer it. So reads use SQL, while
writes and deletes use the ORM.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

MAX_ID = 2**63 - 1  # the largest value of a bigint column
COLUMNS = "id, username, text, CAST(timestamp AS text)"

Row = dict[str, Any]
# A function `read_page(ids, descending, count)`. It reads up to `count` rows whose ids are in the range `ids`, in
# ascending or descending order.
ReadPage = Callable[[range, bool, int], list[Row]]


@dataclass(frozen=True)
class Selection:
    """The thoughts that match an SQL condition.

    `using` is the alias of the database. `params` are the values for the `%s` placeholders of the condition. Like a
    queryset, a selection is lazy: only `fetch` and `page` run a query. If `author` is set, `with_ids` and `page` select
    only the thoughts of that user.
    """

    condition: str = "TRUE"
    params: tuple[Any, ...] = ()
    using: str = DEFAULT_DB_ALIAS
    author: str | None = None

    def filter(self, condition: str, *params: Any) -> "Selection":
        """Return a selection of the thoughts that also match this condition."""
        return replace(self, condition=f"{self.condition} AND {condition}", params=(*self.params, *params))

    def with_ids(self, ids: range) -> "Selection":
        """Return a selection limited to this range of ids.

        If `author` is set, also limit the selection to the thoughts of that user.
        """
        if self.author is None:
            return self.filter("id >= %s AND id < %s", ids.start, ids.stop)
        if connections[self.using].vendor == "postgresql":
            # With `username = %s`, PostgreSQL may scan the primary key and read all other users' thoughts too.
            bounds = (self.author, ids.start, self.author, ids.stop)
            return self.filter("(username, id) >= (%s, %s) AND (username, id) < (%s, %s)", *bounds)
        return self.filter("username = %s AND id >= %s AND id < %s", self.author, ids.start, ids.stop)

    def statement(self, count: int, descending: bool = False, key: str = "id") -> str:
        """Return a SELECT statement for the first `count` rows, ordered by `key`.

        The values for its placeholders are `params`.
        """
        order = order_by(key, descending)
        return f"SELECT {COLUMNS} FROM thoughts_api_thought WHERE {self.condition} ORDER BY {order} LIMIT {count}"  # noqa: S608

    def fetch(self, count: int, descending: bool = False, key: str = "id") -> list[Row]:
        """Read up to `count` rows, ordered by `key`."""
        rows = execute(self.using, self.statement(count, descending, key), self.params)
        return [as_row(*row) for row in rows]

    def page(self, ids: range, descending: bool, count: int) -> list[Row]:
        """Read up to `count` rows whose ids are in this range, ordered by id."""
        key = "id" if self.author is None else "username, id"
        return self.with_ids(ids).fetch(count, descending, key) if ids else []


EVERYONE = Selection()


def by_author(username: str) -> Selection:
    """Select the thoughts of one author. The name must match exactly."""
    return replace(EVERYONE, author=username)


def get(thought_id: int) -> Row | None:
    """Read one thought. Return None if it does not exist."""
    if thought_id > MAX_ID:
        return None
    return next(iter(EVERYONE.filter("id = %s", thought_id).fetch(1)), None)


def execute(using: str, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Run a statement on the database with the alias `using`, and return all rows."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def order_by(key: str, descending: bool) -> str:
    """Return the expressions of an ORDER BY clause.

    `key` is one column, or several separated by commas.
    """
    return ", ".join(f"{column} {'DESC' if descending else 'ASC'}" for column in key.split(", "))


def as_row(thought_id: int, username: str, text: str, timestamp: str) -> Row:
    """Convert the values of COLUMNS to the dict that the API returns."""
    # The database returns the timestamp as text, in UTC. If Django's cursor converted timestamps to aware datetimes, a
    # page would take 50% more CPU time.
    time = datetime.fromisoformat(timestamp).replace(tzinfo=None).isoformat()
    return {"id": thought_id, "username": username, "text": text, "timestamp": f"{time}Z"}
