"""`make service` and `make remove-service`, in a clone of the repository."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tools import scratch
from tools.local import PROJECTS
from tools.system import answers, free_ports, within

STEPS = "invoices_api lint format imports templates manifests Tiltfile"
# `make test` in the clone skips this file, whose test would copy the clone and repeat two of these steps there.
TWICE = "k8s/tests/manifests/test_set_once.py"
TIMEOUT = 10


def run(tree: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in this folder, and return the result."""
    # Remove the variables that `make test` sets. Otherwise, they would change what `make` prints in the clone.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def passes(tree: Path, *command: str) -> str:
    """Run a command in this folder, and return the output.

    If the command fails, fail the test.
    """
    done = run(tree, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def status(tree: Path) -> str:
    """Return the changed and new files that `git status` lists."""
    return passes(tree, "git", "status", "--porcelain", "--untracked-files=all")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the repository to a new git repository, and return the folder."""
    return scratch.clone(tmp_path_factory.mktemp("service") / "clone")


@pytest.fixture(scope="module")
def made(tree: Path) -> Path:
    """Create the service invoices_api in the clone, and return the clone's folder."""
    output = passes(tree, ".venv/bin/python", "-m", "tools.service", "make", "invoices")
    assert "Made invoices_api. It listens on port 8003" in output
    passes(tree, "make", "lock")
    scratch.stamp(tree)
    return tree


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=Invoices"], "'Invoices' cannot be both a package name and a host name."),
        (["name=my invoices"], "'my invoices' cannot be both a package name"),
        (["name=2invoices"], "'2invoices' cannot be both a package name"),
        (["name=my-invoices"], "'my-invoices' cannot be both a package name"),
        (["name=my_invoices"], "'my_invoices' cannot be both a package name"),
        (["name=../invoices"], "'../invoices' cannot be both a package name"),
        (["name=größen"], "'größen' cannot be both a package name"),
        (["name=class"], "'class' is a reserved word."),
        (["name=services"], "'services' is a reserved word."),
        (["name=null"], "'null' is a reserved word."),
        (["name=" + "x" * 31], f"'{'x' * 31}' is too long for names in Kubernetes."),
        (["name=users"], "users_api already uses the name 'users'."),
        (["name=web"], "web already uses the name 'web'."),
        (["name=frontend"], "web already uses the name 'frontend'."),
        (["name=invoices", "model=invoice"], "'invoice' cannot be a model name."),
        (["name=nones"], "'None' cannot be a model name."),
    ],
    ids=str,
)
def test_invalid_name_is_refused_with_a_one_line_message(tree: Path, arguments: list[str], message: str) -> None:
    done = run(tree, "make", "service", *arguments)
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert line.startswith(message)
    assert status(tree) == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=invoices"], "There is no invoices_api. projects.toml lists "),
        (["name=web"], "There is no web_api. projects.toml lists "),
        (["name=thoughts"], r"\S+ does not contain these lines, which `make service` added: "),
        (["name=users"], r"\S+ does not contain these lines, which `make service` added: "),
    ],
    ids=str,
)
def test_only_services_that_make_service_created_can_be_removed(tree: Path, arguments: list[str], message: str) -> None:
    done = run(tree, "make", "remove-service", *arguments)
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert re.match(message, line)
    assert status(tree) == ""


@pytest.mark.parametrize("name", ["invoices_api/notes.txt", "k8s/components/tls/invoices-api.yaml"])
def test_existing_file_is_not_overwritten(tree: Path, name: str) -> None:
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("mine")
    before = status(tree)
    done = run(tree, "make", "service", "name=invoices")
    assert done.returncode != 0
    assert name.partition("/notes")[0] in done.stderr
    assert status(tree) == before
    (tree / name).unlink()
    if name.startswith("invoices_api"):
        (tree / "invoices_api").rmdir()


def test_new_service_needs_only_packages_that_are_already_locked(made: Path) -> None:
    assert not re.search(r"^ M .*requirements", status(made), re.MULTILINE)
    locked, installed = (
        set(re.findall(r"^\S+==\S+", (made / file).read_text(), re.MULTILINE))
        for file in ("invoices_api/requirements.txt", "requirements-dev.txt")
    )
    assert locked
    assert locked <= installed


def test_new_service_passes_its_own_tests_and_the_static_checks(made: Path) -> None:
    output = passes(made, "env", f"PYTEST_ADDOPTS=--ignore={TWICE}", "make", "test", f"only={STEPS}")
    assert re.search(r"^ok   invoices_api on SQLite .* \d+ passed$", output, re.MULTILINE)
    assert re.search(r"^ok   invoices_api on PostgreSQL .* \d+ passed$", output, re.MULTILINE)
    assert re.search(r"^ok   invoices_api types ", output, re.MULTILINE)
    assert re.search(r"^ok   manifests .* \d+ passed$", output, re.MULTILINE)


@pytest.mark.parametrize("file", ["e2e/test_alone.py", "tools/tests/test_projects.py"])
def test_new_service_passes_the_tests_that_run_for_each_project(made: Path, file: str) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-c", "e2e/pytest.ini", "-k", "invoices_api or compose"]
    assert " passed" in passes(made, ".venv/bin/python", "-m", "pytest", *options, file)


def test_openapi_document_of_the_new_service_is_valid(made: Path) -> None:
    manage = ["env", "TOKENS_JWKS=/dev/null", ".venv/bin/python", "invoices_api/manage.py"]
    passes(made, *manage, "spectacular", "--validate", "--fail-on-warn")


@pytest.fixture
def urls(made: Path) -> Iterator[dict[str, str]]:
    """Start all projects of the clone with `make run`, and return their URLs."""
    ports = dict(zip([*PROJECTS, "invoices_api"], free_ports(len(PROJECTS) + 1), strict=True))
    found = {project: f"http://localhost:{port}" for project, port in ports.items()}
    log = made / "var" / "log"
    log.parent.mkdir()
    with log.open("w") as output:
        command = ["make", "run", f"ports={' '.join(map(str, ports.values()))}"]
        process = subprocess.Popen(command, cwd=made, stdout=output, stderr=subprocess.STDOUT)
        try:
            started = within(180, lambda: all(answers(f"{url}/readyz") for url in found.values()))
            assert started, log.read_text()
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def test_new_service_answers_a_user_with_a_token(urls: dict[str, str]) -> None:
    api = f"{urls['invoices_api']}/api/invoices/"
    assert requests.get(api, timeout=TIMEOUT).status_code == 401
    account = {"username": "bruce", "password": "bruce"}
    login = requests.post(f"{urls['users_api']}/api/login/", json=account, timeout=TIMEOUT).json()
    token = {"Authorization": login["Authorized"]}
    written = requests.post(api, json={"text": "Two cups of tea."}, headers=token, timeout=TIMEOUT)
    assert written.status_code == 201, written.text
    found = requests.get(api, headers=token, timeout=TIMEOUT).json()["results"]
    assert found[0] == written.json()
    assert {each["username"] for each in found} == {"bruce"}  # including the sample data


def test_second_service_gets_the_next_port_and_is_removed_completely(made: Path) -> None:
    passes(made, "git", "add", ".")
    service = [".venv/bin/python", "-m", "tools.service"]
    assert "port 8004" in passes(made, *service, "make", "stories", "Story")
    assert "class StoryListView(" in (made / "stories_api" / "views.py").read_text()
    passes(made, *service, "remove", "stories")
    assert passes(made, "git", "diff") == ""
    assert "?? " not in status(made)
    passes(made, "git", "reset", "--quiet")


def test_removal_is_refused_if_an_inserted_line_was_changed(made: Path) -> None:
    procfile = made / "Procfile"
    before = procfile.read_text()
    procfile.write_text(before.replace("invoices_api.wsgi", "invoices_api.wsgi --threads=2"))
    done = run(made, "make", "remove-service", "name=invoices")
    assert done.stderr.startswith("Procfile does not contain these lines, which `make service` added: 'invoices_api: ")
    procfile.write_text(before)
    assert (made / "invoices_api" / "views.py").exists()


def test_removal_leaves_a_clean_tree_even_after_a_release(made: Path) -> None:
    release = made / "k8s" / "components" / "release" / "kustomization.yaml"
    before = release.read_text()
    release.write_text(before.replace("name: invoices-api\n    newTag: v1", "name: invoices-api\n    newTag: v2"))
    assert release.read_text() != before
    passes(made, "make", "remove-service", "name=invoices")
    assert status(made) == ""
    assert not (made / "invoices_api").exists()
