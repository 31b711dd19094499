"""Reload changed code in projects that `make run` started.

Pods that `tilt up` starts reload code in the same way (`common/server/reload.py`).
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tools.local import ROOT, Local

POLL = 0.1  # seconds
SETTLED = 0.05  # seconds without another change; an editor may write a file in two steps
CHECKED_WITHIN = 30.0  # seconds
# A change to these files takes effect only when `make run` starts again, because new workers do not reload them.
ONLY_AT_START = (
    "requirements.txt",
    # gunicorn's master imports these modules.
    "common/__init__.py",
    "common/_compat.py",
    "common/environment.py",
    "common/logs.py",
    "common/server/__init__.py",
    "common/server/_compat.py",
    "common/server/framing.py",
    "common/server/gunicorn_conf.py",
    "common/server/logger.py",
    "common/server/reload.py",
    "common/server/worker.py",
)
Files = dict[str, tuple[int, int]]


class Reloadable(Protocol):
    """A project's gunicorn."""

    name: str

    def reload(self) -> None:
        """Start workers with the new code."""

    def crashed(self) -> bool:
        """Return whether gunicorn has exited."""


class Reloader:
    """The reloader of one project.

    It watches the files of the project and of `common`.
    """

    def __init__(self, process: Reloadable, local: Local, say: Callable[[str, str], None]) -> None:
        self.process, self.local, self.say = process, local, say
        self.seen = self._files()

    def run(self, stopping: threading.Event) -> None:
        """Load every change until `stopping` is set."""
        while not stopping.wait(POLL):
            before, self.seen = self.seen, self._files()
            if self.seen == before:
                continue
            while not stopping.wait(SETTLED) and (now := self._files()) != self.seen:
                self.seen = now
            changed = sorted(name for name, _ in self.seen.items() ^ before.items())
            self._load([*dict.fromkeys(changed)])

    def _load(self, changed: list[str]) -> None:
        """Load changed files.

        If they are broken, print the error and keep the old code in use.
        """
        name = self.process.name
        for file in changed:
            if file.endswith(ONLY_AT_START):
                self.say(name, f"{file} is loaded only at startup. Stop and start `make run`.")
                return
        if self.process.crashed():
            return  # `make run` restarts the project, which loads the new code
        try:
            if any(file.startswith(f"{name}/migrations/") for file in changed):
                self.local.manage(name, "migrate --verbosity=0")
            result = self._check()
        except SystemExit as error:
            result = str(error)
        if result == "ok":
            self.process.reload()
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            self.say(name, f"loaded {changed[0]}{more}")
            return
        for line in result.splitlines():
            self.say(name, line)
        self.say(name, "The old code stays in use. Save the fixed file to load it.")

    def _check(self) -> str:
        """Return "ok", or the error that the check of the changed code reports."""
        deadline = time.monotonic() + CHECKED_WITHIN
        pipe = self.local.pipe(self.process.name)
        while not pipe.exists() and time.monotonic() < deadline:  # the server is starting
            time.sleep(POLL)
        try:
            done = subprocess.run(["cat", pipe], capture_output=True, timeout=CHECKED_WITHIN, check=False)
        except subprocess.TimeoutExpired:
            return f"The new code was not loaded within {CHECKED_WITHIN:.0f} s."
        return (done.stdout or done.stderr).decode(errors="replace")

    def _files(self) -> Files:
        """Return the modification time and the size of each file that the project loads."""
        found: Files = {}
        for app in ("common", self.process.name):
            for folder, folders, files in os.walk(ROOT / app):
                folders[:] = [each for each in folders if each not in ("__pycache__", "tests") and each[0] != "."]
                for file in files:
                    if file[0] == "." or file.endswith(("~", ".pyc")):
                        continue  # for example an editor's backup file
                    path = Path(folder, file)
                    try:
                        status = path.stat()
                    except OSError:
                        continue  # deleted meanwhile
                    found[str(path.relative_to(ROOT))] = (status.st_mtime_ns, status.st_size)
        return found
