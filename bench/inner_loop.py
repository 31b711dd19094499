"""From saving a file to the new answer, in a running `tilt up`: python -m bench.inner_loop [--edits 20]

Each edit changes one word in a file of this tree and asks through the ingress until the answer has it; afterwards
every file is as it was. All the while, requests go to the three services; what fails of them is counted. Printed is a
table: seconds from the save to the answer, median and most, and the requests sent and failed.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tools import localhost  # noqa: F401
from tools.local import ROOT

WEB, THOUGHTS, USERS = "http://frontend.localhost", "http://thoughts.localhost", "http://users.localhost"
PAGES = (f"{WEB}/login/", f"{THOUGHTS}/api/thoughts/?search=tea", f"{USERS}/.well-known/jwks.json")
PAUSE = 1.0  # seconds between two edits
GIVE_UP = 60.0  # seconds


@dataclass
class Kind:
    """A kind of edit: a file, a text in it, what takes its place with WORD in it, and the addresses that show it."""

    name: str
    file: Path
    text: str
    changed: str
    urls: tuple[str, ...]
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def edit(self) -> None:
        """Save a change and wait until all addresses show it."""
        before = self.file.read_text()
        word = f"edit-{time.time_ns()}"
        if self.text not in before:
            raise SystemExit(f"{self.file} has no {self.text!r}: say in KINDS what is there now.")
        try:
            self.file.write_text(before.replace(self.text, self.changed.replace("WORD", word), 1))
            self.seconds.append(self._wait(word, shown=True))
        finally:
            self.file.write_text(before)
        # The next edit is not measured while this one is still on its way.
        self._wait(word, shown=False)
        time.sleep(PAUSE)

    def _wait(self, word: str, *, shown: bool) -> float:
        """Return after how many seconds all addresses show the word, or none does."""
        begin = time.monotonic()
        for url in self.urls:
            while (word in self._answer(url)) != shown:
                if time.monotonic() - begin > GIVE_UP:
                    raise SystemExit(f"{url} does not show a change of {self.file}: is `tilt up` running?")
                time.sleep(0.01)
        return time.monotonic() - begin

    def _answer(self, url: str) -> str:
        """Return the headers and the body of an answer as text, or note that there was none."""
        try:
            response = requests.get(url, timeout=10)
        except requests.RequestException as error:
            self.failed.append(f"{url}: {error}")
            return ""
        if response.status_code >= 500:
            self.failed.append(f"{url}: {response.status_code}")
        return f"{response.headers}{response.text}"


KINDS = [
    Kind(
        "Python",
        ROOT / "thoughts_api" / "views.py",
        "There is no thought with this id.",
        "There is no thought with this id: WORD.",
        (f"{THOUGHTS}/api/thoughts/0",),
    ),
    Kind("template", ROOT / "web" / "templates" / "login.html", "<h1>Log in", "<h1>Log in WORD", (f"{WEB}/login/",)),
    Kind(
        "static file",
        ROOT / "web" / "static" / "web" / "style.css",
        "color-scheme: light dark;",
        "color-scheme: light dark; --WORD: 0;",
        (f"{WEB}/static/web/style.css",),
    ),
    Kind(
        "common/, in all three",
        ROOT / "common" / "middleware.py",
        'response["X-Request-ID"] = identifier',
        'response["X-Request-ID"] = identifier + "-WORD"',
        (f"{WEB}/login/", f"{THOUGHTS}/api/thoughts/0", f"{USERS}/nothing"),
    ),
]


class Load:
    """Requests to all three services all the while, on kept-alive connections, none of them tried again."""

    def __init__(self) -> None:
        self.sent = 0
        self.failed: list[str] = []
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
                try:
                    status = session.get(url, timeout=10).status_code
                    if status >= 500:
                        self.failed.append(f"{url}: {status}")
                except requests.RequestException as error:
                    self.failed.append(f"{url}: {error}")


def main() -> None:
    """Edit, wait, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=20, help="of each kind")
    edits = parser.parse_args().edits
    print(f"| {'Edit':<22} | median s | most s | requests | failed |")
    print(f"| {'-' * 22} | -------: | -----: | -------: | -----: |")
    for kind in KINDS:
        load = Load()
        with load.running():
            for _ in range(edits):
                kind.edit()
        load.failed += kind.failed
        figures = f"{statistics.median(kind.seconds):8.2f} | {max(kind.seconds):6.2f}"
        print(f"| {kind.name:<22} | {figures} | {load.sent:>8} | {len(load.failed):>6} |", flush=True)
        for failure in load.failed[:5]:
            print(f"    {failure}")


if __name__ == "__main__":
    main()
