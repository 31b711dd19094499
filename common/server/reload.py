"""Check changed code before workers load it. Development only: `cat /tmp/reload` prints ok, or the traceback.

At its start, gunicorn's master forks a process with the libraries loaded. For each check, that process forks a child
that loads the application with all views and templates. Meanwhile, the workers keep serving the old code.
"""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from typing import TextIO

PIPE = os.path.join(tempfile.gettempdir(), "reload")  # only in a container, which has no other users


def load_libraries(application: str) -> None:
    """Import the third-party modules that the application uses."""
    code = f"""
import sys
from common.server.reload import load
try:
    load({application!r})
finally:  # also if the code is broken now
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    own = {"common", application.partition(".")[0]}
    settings = os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    for name in done.stdout.split():
        if name.partition(".")[0] not in own:
            with contextlib.suppress(Exception):  # some modules need Django's settings
                importlib.import_module(name)
    if settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings


def serve(application: str, path: str = PIPE) -> None:
    """Serve load-check results on a named pipe: "ok", or the traceback."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: no code waits for the children
    while True:
        # A new pipe for each check: a reader must not get the result of the next one.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.mkfifo(path)
        with open(path, "w") as output:  # blocks until a reader opens it
            if os.fork() == 0:
                _check(application, output)
                os._exit(0)


def load(application: str) -> None:
    """Import an application, all its views and templates. Raise the first error."""
    importlib.import_module(application)
    # Imported here: the process that forks must not load this code.
    from common.http.urls import load_views
    from common.server.templates import load_templates

    load_views()
    load_templates()


def _check(application: str, output: TextIO) -> None:
    with output:
        try:
            load(application)
            output.write("ok")
        except BaseException:  # noqa: BLE001 - also SystemExit, which settings raise
            traceback.print_exc(file=output)
