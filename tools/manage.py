"""Run a Django command of one project: `make manage`.

The command runs in the environment of `make run`.
"""

import os
import sys
from pathlib import Path

from tools.check_machine import locked
from tools.local import PROJECTS, ROOT, Local
from tools.projects import PORTS


def ports(var: Path) -> dict[str, int]:
    """Return the ports that `make run` uses in a folder.

    If `make run` is not running there, return the ports in projects.toml.
    """
    if (var / "lock").exists():
        with (var / "lock").open() as file:
            numbers = file.read().split()
            if not locked(file) and len(numbers) == len(PROJECTS):
                return dict(zip(PROJECTS, map(int, numbers), strict=True))
    return PORTS


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in PROJECTS:
        raise SystemExit(f'Name a project and a command: make manage in={PROJECTS[0]} do="showmigrations"')
    local = Local(ROOT / "var", ports(ROOT / "var"))
    local.make_secrets()
    manage = str(ROOT / sys.argv[1] / "manage.py")
    os.execve(sys.executable, [sys.executable, manage, *sys.argv[2:]], local.environment(sys.argv[1]))
