"""Install, test and run each project alone, without the other projects.

Each test copies one project and `common`, and installs the packages in the project's lock file. A project may import a
package that its lock file lacks. Only this test finds such an import, because the development environment contains the
packages of all projects.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import scratch
from tools.local import PROJECTS, ROOT, Local
from tools.system import answers, free_ports, within


def run(*command: object, cwd: Path, env: dict[str, str]) -> str:
    """Run a command, and return the output.

    If the command fails, fail the test and show the output.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("project", PROJECTS)
def test_project_can_be_installed_tested_and_served_alone(project: str, tmp_path: Path) -> None:
    app = scratch.copy(tmp_path / "app", "common", project)

    # The virtual environment gets only the packages in the project's lock file. The packages for tests go into another
    # folder, from which the server below does not import.
    uv = [sys.executable, "-m", "uv"]
    environment = dict(os.environ)
    run(*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=ROOT, env=environment)
    python = tmp_path / "venv" / "bin" / "python"
    install = [*uv, "pip", "install", "--quiet", "--require-hashes", "--python", python]
    run(*install, "-r", ROOT / project / "requirements.txt", cwd=ROOT, env=environment)
    run(*install, "--target", tmp_path / "test", "-r", ROOT / "requirements-test.txt", cwd=ROOT, env=environment)

    bare = {"PATH": os.defpath, "HOME": str(tmp_path), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", f"{project}/pyproject.toml", f"{project}/tests"]
    output = run(python, *tests, cwd=app, env={**bare, "PYTHONPATH": str(tmp_path / "test")})
    assert " passed" in output.splitlines()[-1]

    local = Local(tmp_path / "var", dict(zip(PROJECTS, free_ports(len(PROJECTS)), strict=True)))
    local.make_secrets()
    needed = ("SECRET_KEY", "TOKENS_", "DATABASE_URL", "_BACKEND_URL", "HOST", "PORT", "STATIC_ROOT")
    own = {
        name: value
        for name, value in local.environment(project).items()
        if name.endswith(needed) or name.startswith(needed)
    }
    serve = {**bare, **own}
    if project != "web":
        run(python, f"{project}/manage.py", "migrate", cwd=app, env=serve)
    run(python, f"{project}/manage.py", "collectstatic", "--no-input", cwd=app, env=serve)
    gunicorn = [str(python), "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", f"{project}.wsgi"]
    with subprocess.Popen(gunicorn, cwd=app, env=serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        url = local.url(project)
        within(60, lambda: answers(f"{url}/readyz") or server.poll() is not None)
        page = answers(f"{url}/login" if project == "web" else f"{url}/schema/")
        server.terminate()
        log, _ = server.communicate(timeout=60)
    assert page, log.decode()
    assert server.returncode == 0, log.decode()
