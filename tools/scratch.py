"""Copy the repository, for tests that change its files."""

import os
import shutil
import subprocess
from pathlib import Path

from tools import install
from tools.local import ROOT

INSTALLED = ("bin", "include", "kubectl", "lib", "lib64", "postgres")  # folders in .venv


def git_environment() -> dict[str, str]:
    """Return this environment without git's variables, such as GIT_DIR.

    When git runs a hook, git sets these variables to tell the hook where the repository is.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def tracked(*folders: str) -> list[str]:
    """Return the files in these folders that `git add .` would track.

    If no folder is given, search the whole repository.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    done = subprocess.run(command, cwd=ROOT, env=git_environment(), capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def copy(folder: Path, *folders: str) -> Path:
    """Copy these folders of the repository, or the whole repository, to `folder`.

    Return `folder`.
    """
    for name in tracked(*folders):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def clone(folder: Path) -> Path:
    """Copy the repository to `folder`, and make the copy a git repository.

    Return `folder`.

    The copy uses the packages of this .venv, through symbolic links. `stamp` keeps `make` from installing them again.
    """
    copy(folder)
    (folder / ".venv").mkdir()
    for name in INSTALLED:
        if (ROOT / ".venv" / name).exists():
            (folder / ".venv" / name).symlink_to((ROOT / ".venv" / name).resolve())
    settings = (ROOT / ".venv" / "pyvenv.cfg").read_text()
    own = str(folder.resolve() / ".venv")
    (folder / ".venv" / "pyvenv.cfg").write_text(settings.replace(str((ROOT / ".venv").resolve()), own))
    commit = "-c user.name=x -c user.email=x commit --quiet --message=x"
    for command in ("init --quiet", "add .", commit):
        subprocess.run(["git", *command.split()], cwd=folder, env=git_environment(), check=True)
    stamp(folder)
    return folder


def stamp(folder: Path) -> None:
    """Create the files that tell `make` that the packages of a clone are installed."""
    for name in ("dev", "run"):
        install.stamp(name, folder).write_text(install.digest(name, folder))
