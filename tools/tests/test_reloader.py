"""Test which files `make run` can load while it is running."""

import subprocess
import sys
from pathlib import Path

from tools.local import ROOT
from tools.reloader import ONLY_AT_START

OWN_MODULES = """
import sys
from common.server import gunicorn_conf
print(*(module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "common"), sep="\\n")
"""


def test_modules_of_the_gunicorn_master_are_loaded_only_at_startup() -> None:
    command = [sys.executable, "-c", OWN_MODULES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {str(Path(line).relative_to(ROOT)) for line in done.stdout.splitlines()}
    assert imported == {file for file in ONLY_AT_START if file.startswith("common/")}
