"""Test that the import rules in pyproject.toml reject forbidden imports.

The rules also apply to a service that `make service` creates.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import scratch
from tools.local import PROJECTS, ROOT
from tools.service import TEMPLATE, Insert, Names

LAYERS = "In common, each layer imports only the layers below it"
CIRCULAR = "No imports are circular"
INDEPENDENT = "The projects never import each other"
COMMON = "common imports no project"
TOOLS = "tools imports no optional folder, and no tests of other packages"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the packages, and add the service invoices_api as `make service` does.

    Return the folder of the copy.
    """
    folder = scratch.copy(tmp_path_factory.mktemp("imports"), "common", "tools", *PROJECTS)
    names = Names("invoices", 8999, "Invoice")
    settings = (ROOT / "pyproject.toml").read_text()
    for insert in Insert.of(names):
        settings = insert.insert(settings) if insert.file == ROOT / "pyproject.toml" else settings
    (folder / "pyproject.toml").write_text(settings)
    for source, file in names.files():
        if source.is_relative_to(TEMPLATE / "notes_api"):
            copy = folder / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(names.render(source.read_text()))
    shutil.rmtree(folder / "tools" / "template")
    return folder


def broken(tree: Path) -> list[str]:
    """Run import-linter, and return the names of the rules that the imports break."""
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert any(line.endswith((" KEPT", " BROKEN")) for line in lines), done.stdout + done.stderr
    return [line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")]


def test_no_import_breaks_a_rule(tree: Path) -> None:
    assert broken(tree) == []


@pytest.mark.parametrize(
    ("imports", "rule"),
    [
        ({"common/database/statements.py": "common.http"}, LAYERS),
        ({"common/http/addresses.py": "common.server"}, LAYERS),
        ({"common/tokens/keys.py": "common.api"}, LAYERS),
        ({"common/tokens/keys.py": "common.http"}, LAYERS),
        ({"common/operations/health.py": "common.api"}, LAYERS),
        ({"common/registry.py": "common.sentry", "common/sentry.py": "common.events"}, LAYERS),
        ({"common/settings.py": "common.logs"}, LAYERS),
        ({"common/http/addresses.py": "common.http.middleware"}, CIRCULAR),
        ({"thoughts_api/selection.py": "thoughts_api.search"}, CIRCULAR),
        ({"users_api/models.py": "users_api.sessions"}, CIRCULAR),
        ({"users_api/models.py": "users_api.tests.conftest"}, CIRCULAR),
        ({"web/backends/__init__.py": "web.views"}, CIRCULAR),
        ({"invoices_api/models.py": "invoices_api.views"}, CIRCULAR),
        ({"tools/local.py": "tools.system"}, CIRCULAR),
        ({"invoices_api/models.py": "users_api.models"}, INDEPENDENT),
        ({"web/views.py": "invoices_api.models"}, INDEPENDENT),
        ({"common/folding.py": "invoices_api"}, COMMON),
        ({"tools/cluster.py": "bench.serve"}, TOOLS),
        ({"tools/cluster.py": "e2e.browser"}, TOOLS),
        ({"tools/system.py": "common.tests.signing"}, TOOLS),
    ],
    ids=lambda value: (
        " and ".join(f"{file} imports {module}" for file, module in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_forbidden_import_breaks_a_rule(tree: Path, imports: dict[str, str], rule: str) -> None:
    before = {tree / file: (tree / file).read_text() for file in imports}
    for file, module in imports.items():
        (tree / file).write_text(f"import {module}\n{before[tree / file]}")
    try:
        assert rule in broken(tree)
    finally:
        for path, text in before.items():
            path.write_text(text)
