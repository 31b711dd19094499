"""Check changed code in development, before gunicorn's workers load it.

/tmp/reload is a named pipe. `cat /tmp/reload` starts a check and prints its result: "ok", or the traceback. The
variable RELOAD_PIPE sets another path for the pipe. `make run` sets a different path for each project, because all
projects run on one machine.

When gunicorn starts, its master imports the libraries and forks a checker process. For each check, the checker forks a
child, which loads the application with all views and templates. The workers keep the old code until they are reloaded.
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

from common import environment

# The default path is safe in a container, because a container has no other users.
PIPE = environment.text("RELOAD_PIPE", os.path.join(tempfile.gettempdir(), "reload"))


def load_libraries(application: str) -> None:
    """Import the third-party modules that the application uses."""
    code = f"""
import sys
from common.server.reload import load
try:
    load({application!r})
finally:  # `load` fails if the code is broken
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    own = {"common", application.partition(".")[0]}
    settings = os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    for name in done.stdout.split():
        if name.partition(".")[0] not in own:
            with contextlib.suppress(Exception):  # importing some modules fails without Django's settings
                importlib.import_module(name)
    if settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings


def serve(application: str, path: str = PIPE) -> None:
    """Check the application whenever a process opens the named pipe.

    That process reads "ok", or the traceback, from the pipe. This function never returns.
    """
    signal.signal(
        signal.SIGCHLD, signal.SIG_IGN
    )  # the kernel reaps the children, so this process need not wait for them
    while True:
        # Create a new pipe for each check, so that a reader never gets the result of a later check.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.mkfifo(path)
        with open(path, "w") as output:  # blocks until a reader opens it
            if os.fork() == 0:
                _check(application, output)
                os._exit(0)


def load(application: str) -> None:
    """Load an application with all its views and templates. Raise the first error."""
    importlib.import_module(application)
    # Only the child may import these modules, because they can change between two checks.
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
