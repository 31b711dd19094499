"""Submit forms without a browser, and read the log of a system."""

import json
import re
from typing import Any

import requests

from tools.system import System

TIMEOUT = 30  # seconds; a few are enough, unless the machine is busy
CANARY = "canary5b1f"  # tests send this as private data, then check that no log, trace or report contains it


def lines(system: System, **fields: Any) -> list[dict[str, Any]]:
    """Return the complete log lines that are JSON objects and have these fields."""
    assert system.log
    complete = system.log.read_text(errors="replace").rpartition("\n")[0]
    texts = [line.partition(" | ")[2] for line in complete.splitlines()]
    found = [json.loads(text) for text in texts if text.startswith("{")]
    return [line for line in found if fields.items() <= line.items()]


def form(browser: requests.Session, url: str, **data: str) -> requests.Response:
    """Open a page, and submit its form with these values."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(url, timeout=TIMEOUT).text)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], **data}
    return browser.post(url, data=fields, headers={"Referer": url}, timeout=TIMEOUT)
