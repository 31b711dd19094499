"""The Makefile refuses wrong variables, and ignores exported ones."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tools import scratch
from tools.local import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE)


def make(*arguments: str, folder: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Return what `make` would do, without doing it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=folder,
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run port=9000", 'make run does not accept the variable "port". It accepts: ports.'),
        ("run in=web", 'make run does not accept the variable "in". It accepts: ports.'),
        ("lock package=httpx", 'make lock does not accept the variable "package". It accepts: upgrade.'),
        ("add to=web", "package= is missing. Run: make add to=web package=httpx."),
        ("add package=httpx", "to= is missing. Run: make add to=web package=httpx."),
        ("add to=wbe package=httpx", "There is no wbe/pyproject.toml. Run: make add to=web package=httpx."),
        ("manage in=web", 'do= is missing. Run: make manage in=users_api do="changepassword bruce".'),
        ("service", "name= is missing. Run: make service name=notes."),
        ("remove-service", "name= is missing. Run: make remove-service name=notes."),
        ("fault in=web", "do= is missing. Run: make fault in=thoughts_api do=slow."),
        (
            "manage in=wbe do=check",
            'There is no wbe/manage.py. Run: make manage in=users_api do="changepassword bruce".',
        ),
    ],
)
def test_wrong_variable_is_reported_in_one_line_before_anything_is_installed(arguments: str, message: str) -> None:
    done = make(*arguments.split())
    assert done.returncode
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.rstrip().endswith(f"*** {message}  Stop.")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files of the repository, without the folder .venv."""
    return scratch.copy(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("target", TARGETS)
def test_target_needs_no_file_that_a_new_clone_lacks(tree: Path, target: str) -> None:
    example = re.search(rf"^{target}\.example := make {target} (.*)$", MAKEFILE, re.MULTILINE)
    done = make(target, *(shlex.split(example[1]) if example else ()), folder=tree)
    assert "No rule to make target" not in done.stderr


def test_exported_variables_are_ignored() -> None:
    done = make("run", ports="7", upgrade="1", PYTHONHOME="/missing", PYTHON="/missing")
    assert done.returncode == 0, done.stderr
    assert "--ports 7" not in done.stdout
    assert "/missing" not in done.stdout
    assert "--upgrade" not in make("lock", upgrade="1").stdout


def test_variables_on_the_command_line_are_used() -> None:
    assert "tools.run --reload --ports 1 2 3" in make("run", "ports=1 2 3").stdout
    assert "python3 tools/install.py" in make("run", "PYTHON=python3").stdout


def test_exported_variables_that_affect_python_do_not_reach_commands() -> None:
    exported = {
        "PYTHONPATH": "/missing",
        "GIT_DIR": "/missing",
        "DJANGO_SETTINGS_MODULE": "missing",
        "PYTEST_ADDOPTS": "-x",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    show = "include Makefile\nshow-environment:\n\t@env\n"
    done = subprocess.run(
        ["make", "--file=-", "show-environment"],
        cwd=ROOT,
        env=own | exported,
        input=show,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert not names & exported.keys()
    assert "PYTHONUTF8=1" in done.stdout.splitlines()
