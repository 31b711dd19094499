"""Tests of the table of settings in docs/operations.md.

The table must list the variables that the projects read, with their defaults.
"""

import ast
import re
from dataclasses import dataclass

import pytest

from common import tracing
from tools.local import PROJECTS, ROOT
from tools.projects import WITH_DATABASE

DOC = (ROOT / "docs" / "operations.md").read_text()
# The server of every project reads these files too.
SHARED = ["common/environment.py", "common/server/gunicorn_conf.py", "common/server/reload.py", "common/settings.py"]
ONLY_WITH_DATABASE = {"MAX_PODS"}
READS = re.compile(r"env\.\w+|os\.environ\.get|(environment\.)?(number|text|flag)")


@dataclass(frozen=True)
class Row:
    """A row of the table, for one variable."""

    projects: tuple[str, ...]
    default: str
    meaning: str


def table(text: str) -> dict[str, Row]:
    """Return the rows by variable.

    A row may list several variables and their defaults.
    """
    rows: dict[str, Row] = {}
    for line in re.findall(r"^\| (`[A-Z].*) \|$", text, re.MULTILINE):
        variables, projects, defaults, meaning = re.split(r" \| ", line)
        names = re.findall(r"`([A-Z_]+)`", variables)
        each = re.split(r", ", defaults) if len(names) > 1 else [defaults] * len(names)
        found = PROJECTS if projects == "all" else tuple(projects.split(", "))
        rows |= {name: Row(found, default, meaning) for name, default in zip(names, each, strict=False)}
        rows |= {name: Row(found, defaults, meaning) for name in names if name not in rows}
    return rows


def read_by(*files: str) -> dict[str, object]:
    """Return the variables that Python files read, with their defaults.

    A variable without a literal as its default has the value None.
    """
    calls = [node for file in files for node in ast.walk(ast.parse((ROOT / file).read_text()))]
    found: dict[str, object] = {}
    for call in calls:
        if isinstance(call, ast.Call) and READS.fullmatch(ast.unparse(call.func)) and call.args:
            name, *rest = call.args
            if isinstance(name, ast.Constant) and str(name.value).isupper():
                literal = rest and isinstance(rest[0], ast.Constant)
                found.setdefault(str(name.value), rest[0].value if literal else None)  # type: ignore[attr-defined]
    return found


TABLE = table(DOC)
NAMED = {project for row in TABLE.values() if row.projects != PROJECTS for project in row.projects}


@pytest.mark.parametrize("project", PROJECTS)
def test_table_lists_the_variables_that_the_project_reads(project: str) -> None:
    read = set(read_by(f"{project}/settings.py", *SHARED))
    if project not in {each.package for each in WITH_DATABASE}:
        read -= ONLY_WITH_DATABASE
    read |= {tracing.ENDPOINT, tracing.RATE}  # read through these constants
    if project in NAMED:
        assert {name for name, row in TABLE.items() if project in row.projects} == read
    else:  # a project that `make service` created; the table has its variables, but does not name it
        assert read <= TABLE.keys()


@pytest.mark.parametrize("variable", TABLE)
def test_variable_has_a_meaning(variable: str) -> None:
    assert len(TABLE[variable].meaning) > 10


def test_defaults_are_those_of_the_code() -> None:
    compared = 0
    for project in PROJECTS:
        for name, default in read_by(f"{project}/settings.py", *SHARED).items():
            if isinstance(default, int) and not isinstance(default, bool) and default:
                assert re.match(rf"`?{default}\b", TABLE[name].default), name
                compared += 1
    assert compared > 15
