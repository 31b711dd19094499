"""Reloading in development: the server checks changed code first, and does not load code that is broken."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tools.local import PROJECTS, ROOT, Local
from tools.system import answers, free_ports, within

TIMEOUT = 10
LOADED_AFTER = 1.0  # seconds; a worker needs a twentieth of this to load modules in a background thread


@dataclass(frozen=True)
class Server:
    """The service web, which runs from a copy of its code as in a pod of `tilt up`."""

    code: Path
    pipe: Path
    url: str
    master: int

    def change(self, file: str, before: str, after: str) -> str:
        """Replace text in a file. Return what the server reports about the changed file: "ok", or the error."""
        path = self.code / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
        return self.pipe.read_text()

    def page(self) -> requests.Response:
        """Request a page for which web calls no API."""
        return requests.get(f"{self.url}/login/", timeout=TIMEOUT)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Server]:
    code = tmp_path / "code"
    for project in ("common", "web"):
        shutil.copytree(ROOT / project, code / project, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    ports = dict(zip(PROJECTS, free_ports(len(PROJECTS)), strict=True))
    local = Local(tmp_path / "var", ports)
    local.make_secrets()
    environment = {"RELOAD": "true", "PYTHONPATH": str(code), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", "web.wsgi"]
    url = f"http://127.0.0.1:{ports['web']}"
    with subprocess.Popen(
        command, cwd=code, env=local.environment("web") | environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as master:
        assert within(60, lambda: answers(f"{url}/healthz"))
        time.sleep(LOADED_AFTER)
        yield Server(code, tmp_path / "reload", url, master.pid)
        os.killpg(master.pid, signal.SIGKILL)


def test_changed_template_is_served_immediately(web: Server) -> None:
    assert "<h1>Log in" in web.page().text
    assert web.change("web/templates/login.html", "<h1>Log in", "<h1>Come in") == "ok"
    assert "<h1>Come in" in web.page().text


@pytest.mark.parametrize(
    ("file", "before", "after", "error"),
    [
        ("login.html", "{% block", "{% blok", "Invalid block tag"),
        ("base.html", "{% block", "{% blok", "Invalid block tag"),
        ("login.html", '{% extends "base.html"', '{% extends "bse.html"', "There is no template 'bse.html'."),
        ("base.html", '{% url "thoughts"', '{% url "thoghts"', "There is no URL named 'thoghts'."),
    ],
)
def test_broken_template_is_reported_and_the_last_working_version_served(
    web: Server, file: str, before: str, after: str, error: str
) -> None:
    result = web.change(f"web/templates/{file}", before, after)
    assert f'{file}", line ' in result
    assert error in result
    response = web.page()
    assert (response.status_code, "<h1>Log in" in response.text) == (200, True)
    assert web.change(f"web/templates/{file}", after, before) == "ok"
    assert web.page().status_code == 200


def test_new_workers_load_changed_code_and_a_broken_line_is_reported(web: Server) -> None:
    assert 'middleware.py", line' in web.change("common/http/middleware.py", "class ", "nothing\n\n\nclass ")
    assert web.page().status_code == 200
    assert web.change("common/http/middleware.py", "nothing\n\n\nclass ", "class ") == "ok"
    setting = 'response["X-Request-ID"] = identifier'
    assert web.change("common/http/middleware.py", setting, f'{setting} + "-new"') == "ok"
    assert not web.page().headers["X-Request-ID"].endswith("-new")
    os.kill(web.master, signal.SIGHUP)
    assert within(10, lambda: web.page().headers["X-Request-ID"].endswith("-new"))
