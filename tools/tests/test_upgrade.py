"""Tests of migrations that pods of the previous release can or cannot survive.

The tests use SQLite and PostgreSQL.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import django
import pytest
from django.conf import settings
from django.db import connections, models
from django.db.migrations import AddConstraint, AddField, AlterField, CreateModel, RemoveField, RenameField, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tools import postgres, scratch, upgrade
from tools.local import ROOT
from tools.projects import WITH_DATABASE

CREATE = CreateModel(
    "Book",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("title", models.CharField(max_length=50)),
        ("pages", models.IntegerField()),
        ("note", models.CharField(max_length=50, null=True)),
        ("state", models.CharField(max_length=9, db_default="new")),
    ],
)
COLUMN = "shop_book.price"
SURVIVES: dict[str, list[Operation]] = {
    "nullable": [AddField("Book", "price", models.IntegerField(null=True))],
    "default in the database": [AddField("Book", "price", models.IntegerField(db_default=0))],
    "longer text": [AlterField("Book", "title", models.CharField(max_length=60))],
    "unlimited text": [AlterField("Book", "title", models.TextField())],
    "larger integer": [AlterField("Book", "pages", models.BigIntegerField())],
    "unique and nullable": [AddField("Book", "price", models.IntegerField(null=True, unique=True))],
    "new table": [CreateModel("Shelf", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())])],
    "NULL accepted": [AlterField("Book", "title", models.CharField(max_length=50, null=True))],
}
CONFLICTS: dict[str, tuple[list[Operation], str]] = {
    "default in Python": ([AddField("Book", "price", models.IntegerField(default=0))], f"{COLUMN} is NOT NULL without"),
    "one of two has a default": (
        [
            AddField("Book", "stock", models.IntegerField(db_default=0)),
            AddField("Book", "price", models.IntegerField(default=0)),
        ],
        f"{COLUMN} is NOT NULL without",
    ),
    "removed": ([RemoveField("Book", "pages")], "shop_book.pages is dropped"),
    "renamed": ([RenameField("Book", "pages", "length")], "shop_book.pages is dropped"),
    "NULL refused": ([AlterField("Book", "note", models.CharField(max_length=50, default=""))], "no longer accepts"),
    "default removed": ([AlterField("Book", "state", models.CharField(max_length=9))], "has no default"),
    "shorter text": (
        [AlterField("Book", "title", models.CharField(max_length=9))],
        "from CharField(50) to CharField(9)",
    ),
    "limited text": ([AlterField("Book", "state", models.CharField(max_length=8, db_default="x"))], "to CharField(8)"),
    "smaller integer": ([AlterField("Book", "pages", models.SmallIntegerField())], "to SmallIntegerField"),
    "other type": ([AlterField("Book", "pages", models.TextField())], "to TextField"),
    "unique": ([AddConstraint("Book", models.UniqueConstraint(fields=["title"], name="u"))], "(title: unique)"),
    "check": (
        [AddConstraint("Book", models.CheckConstraint(condition=models.Q(pages__gt=0), name="c"))],
        "(pages: a check)",
    ),
    "dropped with SQL": ([RunSQL("DROP TABLE shop_book")], "table shop_book is dropped"),
}


@pytest.fixture(scope="module")
def databases() -> Iterator[list[str]]:
    """Connect to SQLite and to PostgreSQL. Return their aliases."""
    with postgres.server() as url:
        configured = {"default": dj_database_url.parse("sqlite://:memory:"), "postgresql": dj_database_url.parse(url)}
        settings.configure(DATABASES=configured, INSTALLED_APPS=[])
        django.setup()
        yield list(configured)
        connections.close_all()


def apply(connection: Any, operations: list[Operation], state: ProjectState) -> ProjectState:
    """Apply the operations to a database, and return the new state."""
    for operation in operations:
        new = state.clone()
        operation.state_forwards("shop", new)
        with connection.schema_editor(atomic=True) as editor:
            operation.database_forwards("shop", editor, state, new)
        state = new
    return state


def conflicts(alias: str, operations: list[Operation]) -> list[str]:
    """Return the conflicts of operations with code that uses the old table of books.

    The function first creates the old table, and then applies the operations.
    """
    connection = connections[alias]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {table}")
    state = apply(connection, [CREATE], ProjectState())
    old = list(state.apps.get_models())
    return upgrade.check(connection, old, lambda: apply(connection, operations, state))


@pytest.mark.parametrize("change", SURVIVES)
def test_compatible_change_is_accepted(databases: list[str], change: str) -> None:
    for alias in databases:
        assert conflicts(alias, SURVIVES[change]) == [], alias


@pytest.mark.parametrize("change", CONFLICTS)
def test_change_that_breaks_the_previous_release_is_refused(databases: list[str], change: str) -> None:
    operations, expected = CONFLICTS[change]
    for alias in databases:
        found = conflicts(alias, operations)
        assert any(expected in each for each in found), (alias, found)


def test_command_exits_with_1_and_names_the_column(tmp_path: Path) -> None:
    tree = scratch.copy(tmp_path)
    migration = tree / "thoughts_api" / "migrations" / "9999_mood.py"
    newest = sorted(file.stem for file in migration.parent.glob("0*.py"))[-1]
    migration.write_text(
        "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = [('thoughts_api', '{newest}')]\n"
        "    operations = [migrations.AddField('Thought', 'mood', models.CharField(max_length=9, default=''))]\n"
    )

    def run() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "tools.upgrade", "thoughts_api"]
        return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)

    refused = run()
    assert refused.returncode == 1
    assert "thoughts_api_thought.mood is NOT NULL without a default" in refused.stdout
    migration.write_text(migration.read_text().replace("default=", "db_default="))
    accepted = run()
    assert accepted.returncode == 0, accepted.stdout


def test_released_migrations_exist() -> None:
    for project in WITH_DATABASE:
        name = upgrade.released_migration(project.package)
        assert not name or (ROOT / project.package / "migrations" / f"{name}.py").exists()
