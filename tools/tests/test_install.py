"""Tests of the installation of packages.

Some tests copy or move a clone of the repository. Others set options of pip, as a user may do.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tools import install, scratch


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return scratch.clone(tmp_path / "clone")


def test_moved_or_copied_environment_is_not_usable(clone: Path, tmp_path: Path) -> None:
    assert install.usable(clone / ".venv")
    copy = shutil.copytree(clone, tmp_path / "copy", symlinks=True)
    assert not install.usable(copy / ".venv")
    assert not install.usable(clone.rename(tmp_path / "moved") / ".venv")


def test_environment_without_its_python_is_not_usable(clone: Path) -> None:
    programs = clone / ".venv" / "bin"
    programs.unlink()
    programs.mkdir()
    (programs / "python").symlink_to("/missing/python")
    assert not install.usable(clone / ".venv")


def test_stamp_depends_on_the_content_of_the_lock_files(clone: Path) -> None:
    assert install.stamp("run", clone).read_text() == install.digest("run", clone)
    lock = install.locks("run", clone)[0]
    lock.touch()
    assert install.stamp("run", clone).read_text() == install.digest("run", clone)
    lock.write_text("")
    assert install.stamp("run", clone).read_text() != install.digest("run", clone)


def test_pip_uses_only_the_settings_for_package_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nuser = true\nindex-url = https://example.org/a\n[install]\nprefix = /x\nproxy = b:1\n")
    exported = {"CONFIG_FILE": str(file), "REQUIRE_VIRTUALENV": "yes", "NO_DEPS": "1", "INDEX_URL": "https://c.example"}
    for name, value in exported.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    found = {name: value for name, value in install.sources(sys.executable).items() if name.startswith("PIP_")}
    assert found["PIP_CONFIG_FILE"] == "/dev/null"
    assert (found["PIP_INDEX_URL"], found["PIP_PROXY"]) == ("https://c.example", "b:1")
    assert not found.keys() & {"PIP_USER", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_DEPS"}
    monkeypatch.delenv("PIP_INDEX_URL")
    assert install.sources(sys.executable)["PIP_INDEX_URL"] == "https://example.org/a"


def test_git_variables_of_a_hook_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "missing"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert "tools/install.py" in scratch.tracked("tools")
    assert (scratch.clone(tmp_path / "clone") / ".git").exists()
    assert not (tmp_path / "index").exists()
