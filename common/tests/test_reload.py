"""Trying changed code before it is taken."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.reload import ask

ROOT = Path(__file__).parent.parent.parent
GOOD = """
import django
from django.conf import settings
settings.configure(ROOT_URLCONF="views")
django.setup()
"""


@pytest.fixture
def code() -> Iterator[Path]:
    """A folder with an application, for which `serve` answers at `socket` in it."""
    # Not tmp_path: the path of a Unix socket has at most 108 bytes.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "application.py").write_text(GOOD)
        (folder / "views.py").write_text("urlpatterns = []")
        serve = f"from common.reload import serve; serve('application', {str(folder / 'socket')!r})"
        path = os.pathsep.join([name, str(ROOT), *sys.path])
        environment = {"PATH": os.defpath, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen([sys.executable, "-c", serve], env=environment) as process:  # noqa: S603
            deadline = time.monotonic() + 30
            while not (folder / "socket").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            yield folder
            process.terminate()


def test_code_that_loads_is_ok_and_each_change_is_seen(code: Path) -> None:
    socket = str(code / "socket")
    assert ask(socket) == "ok"
    (code / "views.py").write_text("def broken(:")
    assert ask(socket).endswith("SyntaxError: invalid syntax\n")
    (code / "views.py").write_text("urlpatterns = []")
    assert ask(socket) == "ok"


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("views.py", "\nimport missing", 'views.py", line 2'),
        ("views.py", "urlpatterns = [nothing]", "NameError: name 'nothing' is not defined"),
        ("application.py", "raise SystemExit('The environment is not right.')", "The environment is not right."),
        ("application.py", "(", 'application.py", line 1'),
    ],
)
def test_what_cannot_be_loaded_is_said_with_its_place(code: Path, file: str, text: str, line: str) -> None:
    (code / file).write_text(text)
    assert line in ask(str(code / "socket"))
