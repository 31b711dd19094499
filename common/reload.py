"""Development only: tries changed code before gunicorn's workers take it: `python -S -m common.reload && kill -HUP 1`.

gunicorn's master leaves a process behind at its start that has the libraries loaded. For each question it forks one
that loads the application with all its views, so that any error in them is known while the old code goes on serving.
"""

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import traceback

SOCKET = "/tmp/reload.sock"  # noqa: S108 - in a container, where nobody else is


def load_libraries(application: str) -> None:
    """Import what a module with an application does, but for this tree's own code, and what needs its settings."""
    code = f"import sys, {application}; from common.reload import load_views; load_views(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    own = {"common", application.partition(".")[0]}
    settings = os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    for name in done.stdout.split():
        if name.partition(".")[0] not in own:
            with contextlib.suppress(Exception):  # as Django's, where a module asks for a setting
                importlib.import_module(name)
    if settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings


def serve(application: str, path: str = SOCKET) -> None:
    """Answer on a Unix socket, for ever, whether a module with an application can be loaded: `ok`, or the traceback."""
    if os.path.exists(path):
        os.unlink(path)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forked ones
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                _answer(application, connection)
                os._exit(0)
            connection.close()


def _answer(application: str, connection: socket.socket) -> None:
    with connection, connection.makefile("w") as answer:
        try:
            importlib.import_module(application)
            load_views()
        except BaseException:  # noqa: BLE001 - SystemExit too: settings end the process so
            traceback.print_exc(file=answer)
        else:
            answer.write("ok")


def load_views() -> None:
    """Import all that the URLs lead to; Django itself does so at the first request."""
    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018


def ask(path: str = SOCKET) -> str:
    """Return the answer of `serve`; `OSError` if nobody answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        with client.makefile() as answer:
            return answer.read()


if __name__ == "__main__":
    said = ask()
    sys.exit(None if said == "ok" else said)
