"""Test how the development server reloads code.

The server checks changed code first, and does not load broken code.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tools import scratch
from tools.local import PROJECTS, ROOT, Local
from tools.system import System, answers, free_ports, start, stop, within

TIMEOUT = 10
LOADED_AFTER = 1.0  # seconds; a worker needs a twentieth of this to load modules in a background thread


@dataclass(frozen=True)
class Server:
    """A running web service. Like a pod of `tilt up`, it uses a copy of the code."""

    code: Path
    pipe: Path
    url: str
    master: int

    def change(self, file: str, before: str, after: str) -> str:
        """Replace text in a file.

        Return what the server reports about the changed file: "ok", or the error.
        """
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
        assert within(60, lambda: answers(f"{url}/healthz") and (tmp_path / "reload").exists())
        time.sleep(LOADED_AFTER)
        yield Server(code, tmp_path / "reload", url, master.pid)
        os.killpg(master.pid, signal.SIGKILL)


def test_changed_template_is_served_immediately(web: Server) -> None:
    assert "<h2>Log in" in web.page().text
    assert web.change("web/templates/login.html", "<h2>Log in", "<h2>Come in") == "ok"
    assert "<h2>Come in" in web.page().text


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
    assert (response.status_code, "<h2>Log in" in response.text) == (200, True)
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
    assert within(60, lambda: web.page().headers["X-Request-ID"].endswith("-new"))


@dataclass(frozen=True)
class Copy:
    """A copy of the repository, and the system that `make run` starts from this copy."""

    tree: Path
    system: System

    def edit(self, file: str, before: str, after: str) -> None:
        """Replace text in a file."""
        path = self.tree / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def shows(self, path: str, text: str) -> bool:
        """Return whether a page of web contains a text within 60 seconds."""
        return within(60, lambda: text in requests.get(f"{self.system.web}{path}", timeout=TIMEOUT).text)

    def prints(self, line: str) -> bool:
        """Return whether the terminal shows a line within 60 seconds."""
        assert self.system.log
        log = self.system.log
        return within(60, lambda: any(re.fullmatch(line, each) for each in log.read_text().splitlines()))

    def sends(self, suffix: str) -> bool:
        """Return whether all services send request ids with this suffix within 60 seconds."""
        urls = (self.system.web, self.system.thoughts, self.system.users)
        return within(60, lambda: all(has_suffix(url, suffix) for url in urls))


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    tree = scratch.clone(tmp_path / "tree")
    system = start(tmp_path / "var", tree, ("--reload",))
    assert system.log
    copy = Copy(tree, system)
    assert copy.prints("  A saved file is loaded without a restart.")
    yield copy
    stop(system)


def test_make_run_loads_saved_files_and_prints_errors(copy: Copy) -> None:
    copy.edit("web/templates/login.html", "<h2>Log in", "<h2>Come in")
    assert copy.shows("/login/", "<h2>Come in")

    copy.edit("web/static/web/style.css", "{", "/* new */ {")
    assert copy.shows("/static/web/style.css", "/* new */")
    headers = requests.get(f"{copy.system.web}/static/web/style.css", timeout=TIMEOUT).headers
    assert headers["Cache-Control"] == "max-age=0, public"

    # The second and third edits do not change the size of the file, and may happen in the same second.
    setting = 'response["X-Request-ID"] = identifier'
    copy.edit("common/http/middleware.py", setting, f'{setting} + "-alpha"')
    for before, after in [("alpha", "gamma"), ("gamma", "delta")]:
        assert copy.sends(f"-{before}")
        copy.edit("common/http/middleware.py", f'"-{before}"', f'"-{after}"')
    assert copy.sends("-delta")

    migrations = copy.tree / "thoughts_api" / "migrations"
    last = max(file.stem for file in migrations.glob("0*.py"))
    (migrations / "0999_more.py").write_text(
        "from django.db import migrations\n\n"
        "class Migration(migrations.Migration):\n"
        f'    dependencies = [("thoughts_api", "{last}")]\n'
        '    operations = [migrations.RunSQL("CREATE TABLE more (id integer)")]\n'
    )
    assert copy.prints(r"thoughts_api \| loaded thoughts_api/migrations/0999_more.py")
    with closing(sqlite3.connect(copy.system.log.parent / "thoughts.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM more").fetchone() == (0,)

    copy.edit("web/views.py", "from web ", "nothing = (\nfrom web ")
    assert copy.prints(r'web +\|   File ".*/web/views\.py", line \d+')
    assert copy.prints(r"web +\| SyntaxError: .*")
    assert copy.shows("/login/", "<h2>Come in")


def has_suffix(url: str, suffix: str) -> bool:
    """Return whether a service sends request ids with this suffix."""
    return requests.get(f"{url}/missing", timeout=TIMEOUT).headers["X-Request-ID"].endswith(suffix)
