"""Refuse migrations that pods of the previous release cannot survive.

`python -m tools.upgrade users_api` checks the migrations of users_api. During a rollout, pods of the previous release
use the tables of the new release. After a rollback, they may do so for days.

This command migrates an empty database to the last migration of the previous release, and then to the newest one. The
project's pyproject.toml names the former (`migration` of `[tool.release]`). The command compares the tables, not the
migrations, so it also detects the effect of raw SQL. It detects neither how long a migration locks a table nor what a
data migration does to the rows.

DATABASE_URL selects the server. Without it, the database is SQLite.
"""

import os
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.local import ROOT, Local
from tools.postgres import database
from tools.projects import PORTS

# Integer types by size. A larger type can hold every value of a smaller one.
SIZES = {"Small": 0, "": 1, "Big": 2}
INTEGER = re.compile(r"(?:Positive)?(Small|Big|)(?:Integer|Auto)Field")
REMEDY = "See docs/development.md, “Migrations”."


@dataclass(frozen=True)
class Column:
    """A column as the database describes it.

    `size` is the maximum number of characters, or None if there is no limit.
    """

    kind: str
    size: int | None
    nullable: bool
    has_default: bool


@dataclass(frozen=True)
class Table:
    """The columns of a table, and how often each constraint occurs.

    A constraint is represented by its kind, its columns and, for a check, its name.
    """

    columns: dict[str, Column]
    constraints: Counter[tuple[str, tuple[str, ...], str]]


def released_migration(project: str) -> str:
    """Return the name of the last migration of the previous release.

    Return "" if the project has not been released.
    """
    text = (ROOT / project / "pyproject.toml").read_text()
    return str(tomllib.loads(text).get("tool", {}).get("release", {}).get("migration", ""))


def read_tables(connection: Any) -> dict[str, Table]:
    """Return all tables of a database by name."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        return {name: _read_table(connection, cursor, name) for name in names}


def _read_table(connection: Any, cursor: Any, name: str) -> Table:
    def kind(info: Any) -> str:
        try:
            return str(connection.introspection.get_field_type(info.type_code, info))
        except KeyError:  # a type that no Django field has, such as an array
            return str(info.type_code)

    columns = {
        info.name: Column(kind(info), _size(info.display_size), bool(info.null_ok), info.default is not None)
        for info in connection.introspection.get_table_description(cursor, name)
    }
    found = connection.introspection.get_constraints(cursor, name)
    constraints = Counter(
        (kind, tuple(sorted(each["columns"] or ())), "" if kind != "check" or key.startswith("__unnamed") else key)
        for key, each in found.items()
        for kind in ("unique", "check", "foreign_key")
        if each[kind] and not each["primary_key"]
    )
    return Table(columns, constraints)


def _size(size: int | None) -> int | None:
    return size if size and size > 0 else None  # psycopg returns -1 for a type without a limit


def find_conflicts(models: list[Any], before: dict[str, Table], after: dict[str, Table]) -> Iterator[str]:
    """Yield a sentence for each change that breaks the previous release.

    `models` are the models of the previous release.
    """
    for model in models:
        table = model._meta.db_table
        if table not in after:
            yield f"The table {table} is dropped or renamed, but the previous release uses it."
            continue
        used = {field.column: field for field in model._meta.local_concrete_fields}
        old, new = before[table].columns, after[table].columns
        for name, field in used.items():
            for problem in _column_conflicts(field, old[name], new.get(name)):
                yield f"The column {table}.{name} {problem}."
        for name, column in new.items():
            if name not in used and not column.nullable and not column.has_default:
                yield (
                    f"The column {table}.{name} is NOT NULL without a default in the database, so the previous release "
                    "cannot insert rows. Use db_default or null=True."
                )
        for kind, columns, _ in after[table].constraints - before[table].constraints:
            if _binds(kind, columns, used.keys(), new):
                what = {"unique": "unique", "check": "a check", "foreign_key": "a foreign key"}[kind]
                yield f"The new constraint on {table} ({', '.join(columns)}: {what}) applies to the previous release."


def _column_conflicts(field: Any, old: Column, new: Column | None) -> Iterator[str]:
    if new is None:
        yield "is dropped or renamed, but the previous release uses it"
        return
    if field.null and not new.nullable:
        yield "no longer accepts NULL, which the previous release may write"
    if field.has_db_default() and not (new.has_default or new.nullable):
        yield "has no default in the database any more, but the previous release relies on that default"
    if not _holds(old, new):
        yield f"changes from {_describe(old)} to {_describe(new)}"


def _holds(old: Column, new: Column) -> bool:
    """Return whether a column can hold every value of its old type."""
    integers = [INTEGER.fullmatch(column.kind) for column in (old, new)]
    if integers[0] and integers[1]:
        return SIZES[integers[0][1]] <= SIZES[integers[1][1]]
    if new.kind == "TextField" and old.kind == "CharField":
        return True
    return old.kind == new.kind and (new.size is None or (old.size is not None and old.size <= new.size))


def _describe(column: Column) -> str:
    return f"{column.kind}({column.size})" if column.size else column.kind


def _binds(kind: str, columns: tuple[str, ...], used: Any, new: dict[str, Column]) -> bool:
    """Return whether a new constraint can refuse rows that the old release writes.

    The old release sets only the columns `used`.
    """
    if kind == "unique":  # rows with NULL in a column are never duplicates
        left_null = [name for name in columns if name not in used and new[name].nullable and not new[name].has_default]
        return not left_null
    return bool(set(columns) & set(used))


def check(connection: Any, models: list[Any], change: Callable[[], object]) -> list[str]:
    """Apply a change to a database, and return the resulting conflicts.

    A conflict breaks code that uses these models.
    """
    before = read_tables(connection)
    change()
    return list(find_conflicts(models, before, read_tables(connection)))


def check_project(project: str) -> list[str]:
    """Check the migrations of the project whose settings are active.

    The database must be empty.
    """
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    released = (project, released_migration(project))
    executor = MigrationExecutor(connection)
    if released not in executor.loader.graph.nodes:
        return [f"{project}/pyproject.toml names the migration {released[1]!r}, which does not exist."]
    executor.migrate([released])
    models = executor.loader.project_state(released).apps.get_models(include_auto_created=True)
    return check(connection, list(models), lambda: call_command("migrate", verbosity=0))


def empty_database(project: str, folder: Path) -> str:
    """Create an empty database, and return its URL.

    If DATABASE_URL is the URL of a PostgreSQL server, create the database on this server. Otherwise, the URL is that of
    an SQLite file in `folder`.
    """
    import psycopg
    from psycopg import sql

    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgresql"):
        return f"sqlite:///{folder / 'upgrade.sqlite3'}"
    name = f"upgrade_{project}"
    with psycopg.connect(database(server, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return database(server, name)


def main(project: str) -> int:
    """Check a project, print the conflicts, and return the exit code."""
    if not released_migration(project):
        print(f"{project} has not been released yet")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        local = Local(Path(folder), PORTS)
        local.make_secrets()
        os.environ |= local.environment(project) | {"DATABASE_URL": empty_database(project, Path(folder))}
        import django

        django.setup()
        conflicts = check_project(project)
    for conflict in conflicts:
        print(conflict)
    print(REMEDY if conflicts else f"the release after {released_migration(project)} keeps old pods working")
    return int(bool(conflicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
