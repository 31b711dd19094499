"""Check .github/workflows with actionlint: `python -m tools.workflows`.

It uses an installed actionlint, or installs it with Go or from PyPI. The package on PyPI downloads actionlint from
GitHub while pip installs it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.install import pip, sources
from tools.local import ROOT

MODULE = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
FOLDER = ROOT / ".venv" / "actionlint"
LOCK = ROOT / "tools" / "requirements-actionlint.txt"
# Without the checks of shell and Python code, for which actionlint needs other programs.
OPTIONS = ("-shellcheck=", "-pyflakes=")
NOTHING_WORKS = "actionlint is required, and neither Go nor pip could install it. Install it and put it on the PATH."


def find() -> str | None:
    """Return the path of actionlint, or None if it is not installed."""
    return shutil.which("actionlint") or shutil.which("actionlint", path=FOLDER / "bin")


def find_or_install() -> str:
    """Return the path of actionlint, and install it if necessary.

    Raise SystemExit if that fails.
    """
    program = find() or _from_go() or _from_pypi()
    if not program:
        raise SystemExit(NOTHING_WORKS)
    return program


def _from_go() -> str | None:
    if go := shutil.which("go"):
        environment = {name: value for name, value in os.environ.items() if name not in ("GOFLAGS", "GOOS", "GOARCH")}
        command = [go, "install", MODULE]
        subprocess.run(command, env={**environment, "GOBIN": str(FOLDER / "bin")}, capture_output=True, check=False)
    return find()


def _from_pypi() -> str | None:
    options = ["--no-deps", "--upgrade", "--require-hashes", f"--target={FOLDER}", f"--requirement={LOCK}"]
    command = pip(sys.executable, "install", *options)
    subprocess.run(command, env=sources(sys.executable), capture_output=True, check=False)
    return find()


def files(tree: Path = ROOT) -> list[str]:
    """Return the paths of the workflows."""
    return [str(file) for file in sorted((tree / ".github" / "workflows").glob("*.yml"))]


if __name__ == "__main__":
    done = subprocess.run([find_or_install(), *OPTIONS, *files()], cwd=ROOT, check=False)
    print(f"{len(files())} workflows checked")
    sys.exit(done.returncode)
