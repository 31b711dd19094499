"""Development only: tries changed code before gunicorn's workers take it: `cat /tmp/reload` says ok, or what is wrong.

gunicorn's master leaves a process behind at its start that has the libraries loaded. For each question it forks one
that loads the application with all its views and templates: what is wrong with them is known while the old code serves.
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

PIPE = os.path.join(tempfile.gettempdir(), "reload")  # in a container, where nobody else is


def load_libraries(application: str) -> None:
    """Import what a module with an application does, but for this tree's own code, and what needs its settings."""
    code = f"""
import sys
from common.server.reload import load
try:
    load({application!r})
finally:  # what is broken may be mended soon
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    own = {"common", application.partition(".")[0]}
    settings = os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    for name in done.stdout.split():
        if name.partition(".")[0] not in own:
            with contextlib.suppress(Exception):  # as Django's, where a module asks for a setting
                importlib.import_module(name)
    if settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings


def serve(application: str, path: str = PIPE) -> None:
    """Say to each who reads the named pipe, for ever, why a module with an application cannot be loaded, or ok."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forked ones
    while True:
        # A new pipe for each: this one's reader must not get the next one's answer.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.mkfifo(path)
        with open(path, "w") as answer:  # waits for a reader
            if os.fork() == 0:
                _answer(application, answer)
                os._exit(0)


def load(application: str) -> None:
    """Import a module with an application, and all views and templates of its project; raises what is wrong."""
    importlib.import_module(application)
    # Here, because the process that forks must have none of this code.
    from common.http.urls import load_views
    from common.server.templates import load_templates

    load_views(lazy=True)
    load_templates()


def _answer(application: str, answer: TextIO) -> None:
    with answer:
        try:
            load(application)
            answer.write("ok")
        except BaseException:  # noqa: BLE001 - SystemExit too: settings end the process so
            traceback.print_exc(file=answer)
