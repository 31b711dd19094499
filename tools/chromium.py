"""Find or install Chromium for the browser tests.

An installed Chromium is preferred. Otherwise, apt installs Chromium if the script runs as root on Debian or Ubuntu. As
a last resort, Playwright downloads its own Chromium.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PACKAGES = ("chromium", "fonts-liberation", "fonts-noto-color-emoji")
NOTHING_WORKS = (
    "Chromium is required, and neither apt nor Playwright could install it. Install it and put `chromium` on the PATH"
    " (on Debian and Ubuntu: apt install chromium)."
)


def find() -> Path | None:
    """Return the path of Chromium, or None if this machine has none.

    Prefer an installed Chromium to the one that Playwright downloaded.
    """
    on_path = next((path for path in map(shutil.which, NAMES) if path), None)
    if on_path:
        return Path(on_path)
    return MAC if MAC.exists() else _playwrights()


def find_or_install() -> Path:
    """Return the path of Chromium.

    Install it if necessary. Raise SystemExit if that fails.
    """
    program = find() or _from_apt() or _from_playwright()
    if program is None:
        raise SystemExit(NOTHING_WORKS)
    return program


def launch_options() -> dict[str, Any]:
    """Return the options with which Playwright starts the installed Chromium.

    If root starts Chromium, the options disable Chromium's sandbox, which root cannot use.
    """
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": str(find_or_install()), "args": sandbox}


def _playwrights() -> Path | None:
    with sync_playwright() as playwright:
        program = Path(playwright.chromium.executable_path)
    return program if program.exists() else None


def _from_apt() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("Installing Chromium with apt …", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=False)
    return find()


def _from_playwright() -> Path | None:
    print("Downloading Chromium with Playwright …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium-headless-shell", "chromium"], check=False)
    return _playwrights()


if __name__ == "__main__":
    print(find_or_install())
