"""Read thoughts with SQL, as the dicts that the API answers with.

Reading goes around Django's ORM, which needs more CPU to build a query than PostgreSQL to answer it. What is written
and deleted goes through the ORM.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

MAX_ID = 2**63 - 1
COLUMNS = "id, username, text, CAST(timestamp AS text)"

Row = dict[str, Any]
# Reads up to `count` rows whose ids are in a range, ordered by id: page(ids, descending, count).
Page = Callable[[range, bool, int], list[Row]]


@dataclass(frozen=True)
class Selection:
    """The thoughts that match a condition of SQL, in one of DATABASES. Nothing is read before they are fetched."""

    condition: str = "TRUE"
    params: tuple[Any, ...] = ()
    using: str = DEFAULT_DB_ALIAS

    def filter(self, condition: str, *params: Any) -> "Selection":
        """Return those that match another condition too."""
        return replace(self, condition=f"{self.condition} AND {condition}", params=(*self.params, *params))

    def with_ids(self, ids: range) -> "Selection":
        """Return those whose ids are in a range."""
        return self.filter("id >= %s AND id < %s", ids.start, ids.stop)

    def statement(self, count: int, descending: bool = False, key: str = "id") -> str:
        """Return the SELECT of the first `count` of them, ordered by `key`; its parameters are `params`."""
        order = order_by(key, descending)
        return f"SELECT {COLUMNS} FROM thoughts_api_thought WHERE {self.condition} ORDER BY {order} LIMIT {count}"  # noqa: S608

    def fetch(self, count: int, descending: bool = False, key: str = "id") -> list[Row]:
        """Read up to `count` of them, ordered by `key`."""
        rows = execute(self.using, self.statement(count, descending, key), self.params)
        return [as_row(*row) for row in rows]

    def page(self, ids: range, descending: bool, count: int) -> list[Row]:
        """Read up to `count` of those whose ids are in a range, ordered by id."""
        return self.with_ids(ids).fetch(count, descending) if ids else []


EVERYONE = Selection()


def by_author(username: str) -> Selection:
    """Return the thoughts of one author."""
    return EVERYONE.filter("username = %s", username)


def get(thought_id: int) -> Row | None:
    """Read the thought with this id; None if there is none."""
    if thought_id > MAX_ID:
        return None
    return next(iter(EVERYONE.filter("id = %s", thought_id).fetch(1)), None)


def execute(using: str, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Run a statement on one of DATABASES and return all rows."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def order_by(key: str, descending: bool) -> str:
    """Return the expression of an ORDER BY clause."""
    return f"{key} {'DESC' if descending else 'ASC'}"


def as_row(thought_id: int, username: str, text: str, timestamp: str) -> Row:
    """Return the values of COLUMNS as the API answers with them."""
    # Both databases answer in UTC. To parse a page of a hundred times and to format them again costs half as much CPU
    # as the rest of the page.
    time = datetime.fromisoformat(timestamp).replace(tzinfo=None).isoformat()
    return {"id": thought_id, "username": username, "text": text, "timestamp": f"{time}Z"}
