"""Measure how long a developer waits until an edit is live.

Run this script with `python -m bench.inner_loop [--edits 20]`.

The script runs `tilt up` twice. The first time, no service is running, for example after `tilt down`. The second time,
all services are already running. Then the script edits files of this repository, and restores them. There are several
kinds of edits, for example edits to a template. The script measures the seconds until each edit is live. Most
edits count as live when the responses through the ingress contain a new word.

Meanwhile, other threads send requests to all services and count failures. The output is two tables.
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

from tools import localhost
from tools.kubectl import NAMESPACE, Kubectl, KubectlError
from tools.local import ROOT

WEB, THOUGHTS, USERS = "http://frontend.localhost", "http://thoughts.localhost", "http://users.localhost"
PAGES = (f"{WEB}/login/", f"{THOUGHTS}/api/thoughts/?search=tea", f"{USERS}/.well-known/jwks.json")
PAUSE = 1.0  # seconds between two edits
GIVE_UP = 300.0  # seconds
TILT = "tilt"
MIGRATION = ROOT / "thoughts_api" / "migrations" / "9999_bench.py"

failed: list[str] = []  # the requests that have failed since the current kind of edit began
watching = requests.Session()  # one session for all requests, because creating a session takes as much CPU as a request


def answer(url: str, session: requests.Session = watching) -> str:
    """Return the headers and the body of a response as text.

    Record an exception or a server error in `failed`.
    """
    try:
        response = session.get(url, timeout=10)
    except requests.RequestException as error:
        failed.append(f"{url}: {error}")
        return ""
    if response.status_code >= 500:
        failed.append(f"{url}: {response.status_code}")
    return f"{response.headers}{response.text}"


def resources() -> dict[str, Any]:
    """Return the status of each Tilt resource, by name.

    Return an empty dict if Tilt is not running.
    """
    done = subprocess.run([TILT, "get", "uiresources", "--output=json"], capture_output=True, text=True, check=False)
    items = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return {each["metadata"]["name"]: each["status"] for each in items}


def green() -> bool:
    """Return whether all resources that Tilt starts are green.

    The resources that run tests do not count, because Tilt does not start them.
    """
    states = [(status.get("updateStatus"), status.get("runtimeStatus")) for status in resources().values()]
    return ("ok", "ok") in states and {each for both in states for each in both} <= {"ok", "none", "not_applicable"}


def red() -> bool:
    """Return whether Tilt shows that the last update of thoughts_api has failed."""
    return bool(resources()["thoughts-api"]["updateStatus"] == "error")


def seconds_until(what: str, condition: Callable[[], bool]) -> float:
    """Wait until `condition` returns True, and return the seconds.

    The error message contains `what`.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > GIVE_UP:
            raise SystemExit(f"Gave up after {GIVE_UP:.0f} seconds of waiting until {what}.")
        time.sleep(0.01)
    return time.monotonic() - begin


@contextmanager
def tilt_up() -> Iterator[float]:
    """Run `tilt up`, and yield the seconds until all resources are green.

    At the end, stop Tilt, but keep the Kubernetes objects that Tilt has deployed.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([TILT, "up", "--stream"], cwd=ROOT, stdout=log, stderr=log)
        try:
            yield seconds_until("`tilt up` is green", green)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


@dataclass
class Kind:
    """A kind of edit to one file, and the measured seconds."""

    name: str
    file: Path
    change: Callable[[str, str], str]  # takes the old text ("" for a new file) and a word, and returns the new text
    live: Callable[[str], bool]  # takes the word, and returns whether the edit is live
    restored: Callable[[str], bool]  # takes the word, and returns whether the restored file is live
    most: int = 1000  # the maximum number of edits of this kind
    seconds: list[float] = field(default_factory=list)  # from each edit until it was live
    back: list[float] = field(default_factory=list)  # from each restore until it was live

    def edit(self) -> None:
        """Edit the file and wait until the edit is live.

        Then restore the file and wait until the old content is live again.
        """
        before = self.file.read_text() if self.file.exists() else None
        word = f"edit-{time.time_ns()}"
        try:
            self.file.write_text(self.change(before or "", word))
            self.seconds.append(seconds_until(f"an edit of {self.file} is live", lambda: self.live(word)))
            time.sleep(PAUSE)
        finally:
            self.file.unlink() if before is None else self.file.write_text(before)
        self.back.append(seconds_until(f"an edit of {self.file} is reverted", lambda: self.restored(word)))
        time.sleep(PAUSE)


def shown(name: str, path: str, text: str, instead: str, *urls: str) -> Kind:
    """Return a kind of edit that replaces `text` with `instead`.

    `instead` contains a new word. The edit is live when all `urls` return this word.
    """

    def change(before: str, word: str) -> str:
        if text not in before:
            raise SystemExit(f"{path} does not contain {text!r}. Update KINDS.")
        return before.replace(text, instead.replace("WORD", word), 1)

    return Kind(
        name,
        ROOT / path,
        change,
        lambda word: all(word in answer(url) for url in urls),
        lambda word: not any(word in answer(url) for url in urls),
    )


def in_pod(resource: str, script: str, word: str = "") -> str:
    """Run a shell script in a container, with `word` as $0, and return the output.

    Return "" if kubectl fails, for example because the pod is terminating.
    """
    try:
        return Kubectl()("exec", resource, "--", "sh", "-c", script, word).strip()
    except KubectlError:
        return ""


def migration() -> str:
    """Return the code of an empty migration that depends on the last existing one."""
    last = max(each.stem for each in MIGRATION.parent.glob("0*.py"))
    return f"""from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("thoughts_api", "{last}")]
    operations = []
"""


def bench_migration(statement: str) -> str:
    """Run SQL on the new migration's row in django_migrations, and return the output."""
    sql = f"{statement} django_migrations WHERE name = '{MIGRATION.stem}'"
    return in_pod("statefulset/thoughts-postgres", 'psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -qtAc "$0"', sql)


def has_lock_line(word: str) -> str:
    """Return how many lines of the lock file in a thoughts-api pod contain `word`."""
    return in_pod("deployment/thoughts-api", 'grep --count "$0" thoughts_api/requirements.txt || true', word)


KINDS = [
    shown(
        "Python",
        "thoughts_api/views.py",
        "There is no thought with this id.",
        "There is no thought with this id: WORD.",
        f"{THOUGHTS}/api/thoughts/0",
    ),
    shown("template", "web/templates/login.html", "<h2>Log in", "<h2>Log in WORD", f"{WEB}/login/"),
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
        live=lambda word: red(),
        restored=lambda word: green(),
        most=5,
    ),
    Kind(
        "a new migration",
        MIGRATION,
        change=lambda before, word: migration(),
        live=lambda word: bench_migration("SELECT 1 FROM") == "1",
        # Django cannot unapply a migration whose file is deleted, so delete the row in the database.
        restored=lambda word: bench_migration("DELETE FROM") == "" and green(),
        most=5,
    ),
    Kind(
        "a lock file",
        ROOT / "thoughts_api" / "requirements.txt",
        change=lambda before, word: f"{before}# {word}\n",
        live=lambda word: has_lock_line(word) == "1" and green(),
        restored=lambda word: has_lock_line(word) == "0" and green(),
        most=2,
    ),
]


class Load:
    """Threads that send requests to all services.

    The threads use persistent connections, and do not retry requests.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests while the block runs."""
        threads = [threading.Thread(target=self._send, args=(url,)) for url in PAGES]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _send(self, url: str) -> None:
        with requests.Session() as session:
            while not self._stop.wait(0.1):
                self.sent += 1
                answer(url, session)


def main() -> None:
    """Run all measurements, and print the tables."""
    localhost.resolve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=20, help="maximum number of edits of each kind")
    edits = parser.parse_args().edits
    if not shutil.which(TILT):
        raise SystemExit("tilt is not on the PATH: https://docs.tilt.dev/install.html")
    if resources():
        raise SystemExit("Tilt is running. Stop it, because this benchmark starts it.")
    namespace_exists = Kubectl()("get", "namespace", NAMESPACE, "--ignore-not-found")
    if namespace_exists:
        subprocess.run([TILT, "down"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    print("| | s until all is green |\n| --- | --: |")
    with tilt_up() as seconds:
        print(f"| `tilt up`, {'after `tilt down`' if namespace_exists else 'on an empty cluster'} | {seconds:.0f} |")
    with tilt_up() as seconds:
        print(f"| `tilt up`, with everything running | {seconds:.0f} |\n", flush=True)
        print("| edit | edits | median s | longest s | restoring, median s | requests | failed |")
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
