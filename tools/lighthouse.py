"""Print the Lighthouse scores of the three main pages: `make lighthouse`.

The script starts the system as `make run` does, but on free ports and with a temporary folder. npx downloads
Lighthouse, which needs Node.js 18.16 or newer. The exit code is 1 if a score is below 95. CI does not run this script,
because the score for performance depends on the speed of the machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import requests

from tools import chromium
from tools.local import ROOT
from tools.system import start, stop

VERSION = "12.8.2"  # the newest release that works with Node.js 20
CATEGORIES = {
    "performance": "Performance",
    "accessibility": "Accessibility",
    "best-practices": "Best practices",
    "seo": "SEO",
}
MINIMUM = 95


def log_in(web: str) -> str:
    """Log in as bruce, and return the value of the Cookie header."""
    with requests.Session() as browser:
        page = browser.get(f"{web}/login/", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        data = {"username": "bruce", "password": "bruce", "csrfmiddlewaretoken": token[1]}
        browser.post(f"{web}/login/", data, timeout=30).raise_for_status()
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def rate(url: str, cookie: str, folder: Path) -> list[int]:
    """Run Lighthouse on a page, and return its score in each category, from 0 to 100.

    Raise SystemExit if Lighthouse fails, or if it rates another page because of a redirect.
    """
    report = folder / "report.json"
    options = chromium.launch_options()
    flags = " ".join(["--headless=new", *options["args"]])
    done = subprocess.run(
        [
            *("npx", "--yes", f"lighthouse@{VERSION}", url, "--quiet", "--output=json", f"--output-path={report}"),
            *(f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={flags}"),
            f"--extra-headers={json.dumps({'Cookie': cookie} if cookie else {})}",
        ],
        cwd=ROOT,
        env={**os.environ, "CHROME_PATH": options["executable_path"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Lighthouse failed on {url}.\n{done.stdout}")
    result = json.loads(report.read_text())
    if result["finalDisplayedUrl"] != url:
        raise SystemExit(f"{url} redirects to {result['finalDisplayedUrl']}.")
    return [round(100 * (result["categories"][name]["score"] or 0)) for name in CATEGORIES]


def main() -> int:
    """Rate the pages, print a table of the scores, and return the exit code."""
    if not shutil.which("npx"):
        raise SystemExit("npx is not on the PATH. Install Node.js 18.16 or newer.")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        system = start(folder / "var")
        stack.callback(stop, system)
        pages = {
            "login": (f"{system.web}/login/", ""),
            "own thoughts": (f"{system.web}/thoughts/", log_in(system.web)),
            "search": (f"{system.web}/search?search=a", ""),
        }
        print(f"| page | {' | '.join(CATEGORIES.values())} |\n| --- |{' --: |' * len(CATEGORIES)}", flush=True)
        lowest = 100
        for name, (url, cookie) in pages.items():
            scores = rate(url, cookie, folder)
            print(f"| {name} | {' | '.join(map(str, scores))} |", flush=True)
            lowest = min(lowest, *scores)
    return int(lowest < MINIMUM)


if __name__ == "__main__":
    sys.exit(main())
