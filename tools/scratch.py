"""Copy the repository, for tests that change its files."""

import shutil
import subprocess
from pathlib import Path

from tools.local import ROOT

INSTALLED = ("bin", "include", "kubectl", "lib", "lib64", "postgres", "pyvenv.cfg")  # files and folders in .venv


def tracked(*folders: str) -> list[str]:
    """Return the files that `git add .` would track, in these folders or in the whole repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def copy(folder: Path, *folders: str) -> Path:
    """Copy these folders of the repository, or the whole repository, to `folder`. Return `folder`."""
    for name in tracked(*folders):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def clone(folder: Path) -> Path:
    """Copy the repository to `folder`, and make the copy a git repository. Return `folder`.

    The copy uses the packages of this .venv, through symbolic links. `stamp` keeps `make` from installing them again.
    """
    copy(folder)
    (folder / ".venv").mkdir()
    for name in INSTALLED:
        if (ROOT / ".venv" / name).exists():
            (folder / ".venv" / name).symlink_to((ROOT / ".venv" / name).resolve())
    commit = "-c user.name=x -c user.email=x commit --quiet --message=x"
    for command in ("init --quiet", "add .", commit):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)
    stamp(folder)
    return folder


def stamp(folder: Path) -> None:
    """Create the files in .venv that tell `make` that the lock files of a clone are installed."""
    for name in ("dev", "run"):
        (folder / ".venv" / name).touch()
