"""Test the check that runs in development before workers load changed code."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
GOOD = """
import django
from django.conf import settings
settings.configure(ROOT_URLCONF="views")
django.setup()
"""


@pytest.fixture
def code(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with an application.

    Reading the named pipe `pipe` in it starts a check.
    """
    (tmp_path / "application.py").write_text(GOOD)
    (tmp_path / "views.py").write_text("urlpatterns = []")
    serve = f"from common.server.reload import serve; serve('application', {str(tmp_path / 'pipe')!r})"
    path = os.pathsep.join([str(tmp_path), str(ROOT), *sys.path])
    environment = {"PATH": os.defpath, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen([sys.executable, "-c", serve], env=environment) as process:
        yield tmp_path
        process.terminate()


def check(folder: Path) -> str:
    """Start a check, and return its result."""
    deadline = time.monotonic() + 30
    while not (folder / "pipe").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return (folder / "pipe").read_text()


def test_loadable_code_is_ok_and_every_change_is_checked(code: Path) -> None:
    assert check(code) == "ok"
    (code / "views.py").write_text("def broken(:")
    assert check(code).endswith("SyntaxError: invalid syntax\n")
    (code / "views.py").write_text("urlpatterns = []")
    assert check(code) == "ok"


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("views.py", "\nimport missing", 'views.py", line 2'),
        ("views.py", "urlpatterns = [nothing]", "NameError: name 'nothing' is not defined"),
        ("application.py", "raise SystemExit('Invalid environment.')", "Invalid environment."),
        ("application.py", "(", 'application.py", line 1'),
    ],
)
def test_broken_code_is_reported_with_its_line(code: Path, file: str, text: str, line: str) -> None:
    (code / file).write_text(text)
    assert line in check(code)


def test_module_of_a_view_is_checked_too(code: Path) -> None:
    view = "from common.http.urls import path\nfrom later import View\nurlpatterns = [path('', View.as_view())]"
    (code / "views.py").write_text(view)
    (code / "later.py").write_text("from django.views import View")
    assert check(code) == "ok"
    (code / "later.py").write_text("from django.views import View\nnothing")
    assert 'later.py", line 2' in check(code)


def test_broken_template_is_reported_with_its_line(code: Path) -> None:
    templates = "[{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True}]"
    settings = f"INSTALLED_APPS=['shop'], TEMPLATES={templates}, "
    own = "from pathlib import Path\nfrom common import settings as common\ncommon.ROOT = Path(__file__).parent\n"
    (code / "application.py").write_text(own + GOOD.replace("ROOT_URLCONF", settings + "ROOT_URLCONF"))
    (code / "shop" / "templates").mkdir(parents=True)
    (code / "shop" / "__init__.py").touch()
    page = code / "shop" / "templates" / "shop.html"
    page.write_text("<p>{{ price }}</p>")
    assert check(code) == "ok"
    page.write_text("<p>\n{{ price|discount }}</p>")
    assert check(code).endswith(f"""TemplateSyntaxError: File "{page}", line 2: Invalid filter: 'discount'\n""")
    page.write_bytes(b"<p>\xe2\x82")
    assert f"""TemplateSyntaxError: File "{page}": 'utf-8' codec can't decode""" in check(code)
    page.write_text("<p>{{ price }}</p>")
    assert check(code) == "ok"


def test_code_that_exits_is_not_ok(code: Path) -> None:
    (code / "views.py").write_text("import os\nos._exit(1)")
    assert check(code) == ""
