"""`make test`: run all checks and tests.

Each check and each test suite is a step. Two steps run at a time. A step prints one line, and its output if it fails.
The end-to-end tests (the step `e2e`) run last, and their summary repeats the lines of the other steps.

`make test only="types lint"` runs the steps whose names contain one of these words. If `only` is the full name of a
step, only that step runs.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from tools import kustomize, postgres
from tools.local import ROOT, Local, is_deleted, without_settings
from tools.projects import PORTS, WITH_DATABASE

BIN = Path(sys.executable).parent
E2E = "e2e"  # the step with all end-to-end tests that are not in ALONE
# Slow end-to-end tests. Each starts its own system, so they are steps that run in parallel with the others.
ALONE = {
    "schemathesis": "e2e/test_schemathesis.py",
    "web forms": "e2e/test_web_forms.py",
    "each project alone": "e2e/test_alone.py",
    "read replica": "e2e/test_replica.py",
    "new service": "e2e/test_service.py",
}
# Tests that start no system.
STATIC = {"manifests": "k8s/tests/manifests", "Tiltfile": "tilt_modules/tests", "tools": "tools/tests"}
STATIC = {name: folder for name, folder in STATIC.items() if not is_deleted(folder)}
# mypy needs the settings of a project. These folders belong to no project. Each key names the project
# whose settings mypy uses for the folders in the list.
TYPED_WITH = {"users_api": ["common"], "web": ["tools", "e2e", "bench", "k8s", "tilt_modules"]}
TYPED_WITH = {name: [each for each in folders if not is_deleted(each)] for name, folders in TYPED_WITH.items()}
APIS = [project.package for project in WITH_DATABASE]
PYTEST = [sys.executable, "-m", "pytest", "--quiet", "--rootdir=.", "-p", "no:cacheprovider"]


@dataclass
class Step:
    """A command that must exit with 0."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    # A regular expression that finds the result in the output. The step's line in the summary shows this result.
    result: str = r"^=* ?(\d+ (?:passed|failed|error).*?) in "

    def run(self) -> tuple[bool, str, float]:
        """Run the command.

        Return whether the command passed, the output, and the duration in seconds.
        """
        start = time.monotonic()
        done = subprocess.run(
            self.command,
            cwd=ROOT,
            env={**without_settings(), **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode == 0, done.stdout, time.monotonic() - start


def steps(local: Local, database_url: str) -> Iterator[Step]:
    """Yield all steps except e2e, the slowest first."""
    for name, file in ALONE.items():
        yield Step(name, [*PYTEST, "-c", "e2e/pytest.ini", file])
    for project, database in [*product(APIS, ["SQLite", "PostgreSQL"]), ("common", ""), ("web", "")]:
        env = {"DATABASE_URL": postgres.database(database_url, project)} if database == "PostgreSQL" else {}
        name = f"{project} on {database}" if database else project
        yield Step(name, [*PYTEST, "-c", f"{project}/pyproject.toml", f"{project}/tests"], env)
        if project in APIS:
            upgrade = [sys.executable, "-m", "tools.upgrade", project]
            yield Step(f"{project} upgrade on {database}", upgrade, env, result="^(.*release.*)$")
    for name, folder in STATIC.items():
        yield Step(name, [*PYTEST, "-c", "e2e/pytest.ini", folder])
    yield Step("clients", [sys.executable, "-m", "tools.clients"], result=r"^(\d+ clients .*|skipped: .*)$")
    yield Step("dependency audit", [sys.executable, "-m", "tools.audit"], result="^(.*audited.*)$")
    yield Step("lint", [str(BIN / "ruff"), "check", "--no-cache", "."])
    yield Step("format", [str(BIN / "ruff"), "format", "--no-cache", "--check", "."])
    yield Step("words", [sys.executable, "-m", "tools.words"], result="^(.*found)$")
    if not is_deleted(".github"):
        yield Step("workflows", [sys.executable, "-m", "tools.workflows"], result="^(.*checked)$")
    yield Step("imports", [str(BIN / "lint-imports"), "--no-cache"])
    yield Step("templates", [str(BIN / "djlint"), "--quiet", "--lint", "--check", "web", "users_api"])
    for project in PORTS:
        # mypy's Django plug-in can read only the settings of one project per run.
        yield Step(
            f"{project} types",
            [str(BIN / "mypy"), f"--cache-dir=.mypy_cache/{project}", project, *TYPED_WITH.get(project, [])],
            {**local.environment(project), "DJANGO_SETTINGS_MODULE": f"{project}.settings"},
        )
    for project in PORTS:
        manage = [sys.executable, f"{project}/manage.py"]
        yield Step(
            f"{project} check --deploy",
            [*manage, "check", "--deploy", "--fail-level=WARNING"],
            {**local.environment(project), "BEHIND_TLS": "true"},
        )
        if project in APIS:
            yield Step(
                f"{project} migrations", [*manage, "makemigrations", "--check", "--dry-run"], local.environment(project)
            )


def chosen(names: list[str], only: list[str]) -> list[str]:
    """Return the names that `only` selects.

    If the words of `only` form a full name, return this name. Otherwise, return all names that contain one of the
    words. Without words, return all names.
    """
    if not only:
        return names
    if (whole := " ".join(only)) in names:
        return [whole]
    return [name for name in names if any(word in name for word in only)]


def main(only: list[str]) -> int:
    """Run the selected steps, or all steps, and return the exit code."""
    results: list[dict[str, str | bool]] = []
    lock = threading.Lock()

    def run(step: Step) -> None:
        passed, output, seconds = step.run()
        found = re.findall(step.result, output, re.MULTILINE)
        line = f"{'ok  ' if passed else 'FAIL'} {step.name:<28} {seconds:5.0f} s  {found[-1] if found else ''}".rstrip()
        with lock:
            results.append({"passed": passed, "line": line})
            print(line if passed else f"{output}\n{line}", flush=True)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        local = Local(folder / "var", PORTS)
        local.make_secrets()
        every = list(steps(local, ""))
        wanted = chosen([*(step.name for step in every), E2E], only)
        if any("PostgreSQL" in name for name in wanted):
            every = list(steps(local, stack.enter_context(postgres.server())))
        if {*wanted} & {*STATIC, "new service", E2E}:
            kustomize.find_or_install()  # install it here, so that parallel steps do not
        if not wanted:
            print(f"No step has a name with: {' '.join(only)}. The steps are:", file=sys.stderr)
            print(*(f"  {step.name}" for step in every), f"  {E2E}", sep="\n", file=sys.stderr)
            return 1
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(run, (step for step in every if step.name in wanted)))
        if E2E not in wanted:
            return int(not all(result["passed"] for result in results))

        summary = folder / "steps.json"
        summary.write_text(json.dumps([result["line"] for result in results]))
        code = subprocess.run(
            [*PYTEST, "-c", "e2e/pytest.ini", "e2e", *(f"--ignore={file}" for file in ALONE.values())],
            cwd=ROOT,
            env={**without_settings(), "STEPS": str(summary)},
            check=False,
        ).returncode
    return code or int(not all(result["passed"] for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
