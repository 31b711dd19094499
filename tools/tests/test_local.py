"""The environment of the services that `make run` starts."""

from pathlib import Path

import dj_database_url
import pytest

from tools.local import PROJECTS, Local, without_settings
from tools.projects import PORTS, TABLE
from tools.tests.test_settings_doc import TABLE as SETTINGS

FOREIGN = {
    "DATABASE_URL_FILE": "x",
    "SECRET_KEY_FILE": "x",
    "DATABASE_URL": "sqlite:////x",
    "ALLOWED_HOSTS": "x",
    "PYTHONHOME": "x",
    "PYTHONSTARTUP": "x",
    "PYTHONWARNINGS": "error",
    "GUNICORN_CMD_ARGS": "--bind=x",
    "WEB_CONCURRENCY": "x",
    "HTTPS_PROXY": "http://x",
    "DATABASE_REPLICA_URL": "postgresql://x/x",
}


def local(folder: Path) -> Local:
    made = Local(folder, PORTS)
    made.make_secrets()
    return made


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "a b", "größe", "a\nb", "a'\"$b"])
def test_database_is_in_the_folder_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    made = local(tmp_path / name)
    for project in TABLE.values():
        if project.database:
            url = made.environment(project.package)["DATABASE_URL"]
            assert dj_database_url.parse(url)["NAME"] == str(tmp_path / name / f"{project.database}.sqlite3")


def test_only_listed_variables_reach_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = local(tmp_path)
    before = {project: made.environment(project) for project in PROJECTS}
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    assert {project: made.environment(project) for project in PROJECTS} == before
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert made.environment("web")["LOG_LEVEL"] == "DEBUG"


def test_tests_do_not_use_exported_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*SETTINGS, "DATABASE_URL_FILE", "PROMETHEUS_MULTIPROC_DIR"]
    for name in names:
        monkeypatch.setenv(name, "x")
    assert without_settings().keys().isdisjoint(names)
    assert "PATH" in without_settings()
