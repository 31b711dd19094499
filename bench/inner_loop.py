"""What a developer waits for in `tilt up`: python -m bench.inner_loop [--edits 20]

Starts `tilt up` where nothing runs (the databases' volumes may be there), ends it, and starts it again. Then it edits
files of this tree, one kind of edit after the other, and waits until each has arrived, mostly until the answers through
the ingress have the new word; afterwards every file is as it was. All the while, requests go to the three services;
what fails of them is counted. Printed are tables of seconds.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tools import localhost  # noqa: F401
from tools.kubectl import NAMESPACE, Kubectl, KubectlError
from tools.local import ROOT

WEB, THOUGHTS, USERS = "http://frontend.localhost", "http://thoughts.localhost", "http://users.localhost"
PAGES = (f"{WEB}/login/", f"{THOUGHTS}/api/thoughts/?search=tea", f"{USERS}/.well-known/jwks.json")
PAUSE = 1.0  # seconds between two edits
GIVE_UP = 300.0  # seconds
TILT = "tilt"
MIGRATION = ROOT / "thoughts_api" / "migrations" / "9999_bench.py"

failed: list[str] = []  # requests, of one kind of edit
watching = requests.Session()  # one for all looks: a new one for each takes as much of a CPU as the answer


def answer(url: str, session: requests.Session = watching) -> str:
    """Return the headers and the body of an answer as text; note a failure, an error of the server is one too."""
    try:
        response = session.get(url, timeout=10)
    except requests.RequestException as error:
        failed.append(f"{url}: {error}")
        return ""
    if response.status_code >= 500:
        failed.append(f"{url}: {response.status_code}")
    return f"{response.headers}{response.text}"


def resources() -> dict[str, Any]:
    """Return the status of each resource of the Tilt that runs, by its name; of none if there is no Tilt."""
    done = subprocess.run([TILT, "get", "uiresources", "--output=json"], capture_output=True, text=True, check=False)
    items = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return {each["metadata"]["name"]: each["status"] for each in items}


def green() -> bool:
    """Return whether all resources are, but tests, which are not run by themselves."""
    states = [(status.get("updateStatus"), status.get("runtimeStatus")) for status in resources().values()]
    return ("ok", "ok") in states and {each for both in states for each in both} <= {"ok", "none", "not_applicable"}


def red() -> bool:
    """Return whether the resource of thoughts_api is."""
    return bool(resources()["thoughts-api"]["updateStatus"] == "error")


def seconds_until(what: str, holds: Callable[[], bool]) -> float:
    """Wait until it holds, and return how long that took."""
    begin = time.monotonic()
    while not holds():
        if time.monotonic() - begin > GIVE_UP:
            raise SystemExit(f"Waited {GIVE_UP:.0f} seconds in vain until {what}.")
        time.sleep(0.01)
    return time.monotonic() - begin


@contextmanager
def tilt_up() -> Iterator[float]:
    """Start `tilt up`, yield after how many seconds all is green, and end it; what it made stays."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([TILT, "up", "--stream"], cwd=ROOT, stdout=log, stderr=log)
        try:
            yield seconds_until("`tilt up` is green", green)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


@dataclass
class Kind:
    """A kind of edit of a file."""

    name: str
    file: Path
    change: Callable[[str, str], str]  # of its text (none if there is no file) and a word
    arrived: Callable[[str], bool]  # whether the change with this word has
    gone: Callable[[str], bool]  # whether nothing is left of it, the file as it was
    most: int = 1000  # edits
    seconds: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    def edit(self) -> None:
        """Save a change, put the file back, and wait both times."""
        before = self.file.read_text() if self.file.exists() else None
        word = f"edit-{time.time_ns()}"
        try:
            self.file.write_text(self.change(before or "", word))
            self.seconds.append(seconds_until(f"a change of {self.file} arrives", lambda: self.arrived(word)))
            time.sleep(PAUSE)
        finally:
            self.file.unlink() if before is None else self.file.write_text(before)
        self.back.append(seconds_until(f"a change of {self.file} is gone", lambda: self.gone(word)))
        time.sleep(PAUSE)


def shown(name: str, path: str, text: str, instead: str, *urls: str) -> Kind:
    """Return the kind that puts something with WORD in it instead of a text, until all addresses show it."""

    def change(before: str, word: str) -> str:
        if text not in before:
            raise SystemExit(f"{path} has no {text!r}: say in KINDS what is there now.")
        return before.replace(text, instead.replace("WORD", word), 1)

    return Kind(
        name,
        ROOT / path,
        change,
        lambda word: all(word in answer(url) for url in urls),
        lambda word: not any(word in answer(url) for url in urls),
    )


def in_pod(resource: str, script: str, word: str = "") -> str:
    """Return what a shell script prints in a container, $0 being a word; nothing if the pod is just leaving."""
    try:
        return Kubectl()("exec", resource, "--", "sh", "-c", script, word).strip()
    except KubectlError:
        return ""


def migration() -> str:
    """Return one that does nothing, after the last that there is."""
    last = max(each.stem for each in MIGRATION.parent.glob("0*.py"))
    return f"""from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("thoughts_api", "{last}")]
    operations = []
"""


def bench_migration(statement: str) -> str:
    """Return what PostgreSQL says to this, WHERE it is about the migration that is made here."""
    sql = f"{statement} django_migrations WHERE name = '{MIGRATION.stem}'"
    return in_pod("statefulset/thoughts-postgres", 'psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -qtAc "$0"', sql)


def has_lock_line(word: str) -> str:
    """Return how many lines with it the lock file has that a pod's image was made with."""
    return in_pod("deployment/thoughts-api", 'grep --count "$0" thoughts_api/requirements.txt || true', word)


KINDS = [
    shown(
        "Python",
        "thoughts_api/views.py",
        "There is no thought with this id.",
        "There is no thought with this id: WORD.",
        f"{THOUGHTS}/api/thoughts/0",
    ),
    shown("template", "web/templates/login.html", "<h1>Log in", "<h1>Log in WORD", f"{WEB}/login/"),
    shown(
        "static file",
        "web/static/web/style.css",
        "color-scheme: light dark;",
        "color-scheme: light dark; --WORD: 0;",
        f"{WEB}/static/web/style.css",
    ),
    shown(
        "common/, in all three",
        "common/http/middleware.py",
        'response["X-Request-ID"] = identifier',
        'response["X-Request-ID"] = identifier + "-WORD"',
        *(f"{WEB}/login/", f"{THOUGHTS}/api/thoughts/0", f"{USERS}/nothing"),
    ),
    Kind(
        "a line that breaks",
        ROOT / "thoughts_api" / "views.py",
        change=lambda before, word: f"{before}\nnothing  # {word}\n",
        arrived=lambda word: red(),
        gone=lambda word: green(),
        most=5,
    ),
    Kind(
        "a new migration",
        MIGRATION,
        change=lambda before, word: migration(),
        arrived=lambda word: bench_migration("SELECT 1 FROM") == "1",
        # Django cannot unapply a migration that has no file any more.
        gone=lambda word: bench_migration("DELETE FROM") == "" and green(),
        most=5,
    ),
    Kind(
        "a lock file",
        ROOT / "thoughts_api" / "requirements.txt",
        change=lambda before, word: f"{before}# {word}\n",
        arrived=lambda word: has_lock_line(word) == "1" and green(),
        gone=lambda word: has_lock_line(word) == "0" and green(),
        most=2,
    ),
]


class Load:
    """Requests to all three services all the while, on kept-alive connections, none of them tried again."""

    def __init__(self) -> None:
        self.sent = 0
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send them until the block ends."""
        threads = [threading.Thread(target=self._ask, args=(url,)) for url in PAGES]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, url: str) -> None:
        with requests.Session() as session:
            while not self._stop.wait(0.1):
                self.sent += 1
                answer(url, session)


def main() -> None:
    """Start, edit, wait, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=20, help="of each kind, at most")
    edits = parser.parse_args().edits
    if not shutil.which(TILT):
        raise SystemExit("tilt is not on the PATH: https://docs.tilt.dev/install.html")
    if resources():
        raise SystemExit("A Tilt is running: end it, it is started here.")
    there = Kubectl()("get", "namespace", NAMESPACE, "--ignore-not-found")
    if there:
        subprocess.run([TILT, "down"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    print("| | all is green after s |\n| --- | --: |")
    with tilt_up() as seconds:
        print(f"| `tilt up`, {'after `tilt down`' if there else 'on an empty cluster'} | {seconds:.0f} |")
    with tilt_up() as seconds:
        print(f"| `tilt up`, where all runs | {seconds:.0f} |\n", flush=True)
        print("| edit | how many | median s | most s | put back, median s | requests | failed |")
        print("| --- | --: | --: | --: | --: | --: | --: |", flush=True)
        for kind in KINDS:
            failed.clear()
            load = Load()
            with load.running():
                for _ in range(min(edits, kind.most)):
                    kind.edit()
            figures = (statistics.median(kind.seconds), max(kind.seconds), statistics.median(kind.back))
            columns = [kind.name, len(kind.seconds), *(f"{each:.2f}" for each in figures), load.sent, len(failed)]
            print("|", " | ".join(map(str, columns)), "|", flush=True)
            for failure in failed[:5]:
                print(failure, file=sys.stderr)


if __name__ == "__main__":
    main()
