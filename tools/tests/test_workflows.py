"""The files for GitHub: workflows, Dependabot, pre-commit, templates."""

import re
import shlex
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tools import scratch, test, workflows
from tools.local import ROOT, Local, is_deleted
from tools.projects import PORTS

PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
GITHUB = ROOT / ".github"


def test_every_action_is_pinned_by_commit() -> None:
    used = [line for file in workflows.files() for line in re.findall(r"uses: (.*)", Path(file).read_text())]
    assert len(used) > 10
    assert [each for each in used if not PINNED.fullmatch(each)] == []


def test_no_step_inserts_an_expression_into_a_script() -> None:
    # The name of a branch or the title of a pull request could contain code:
    # https://docs.github.com/en/actions/concepts/security/script-injections
    for file in workflows.files():
        workflow = yaml.safe_load(Path(file).read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            assert not [step for step in job["steps"] if "${{" in step.get("run", "")]


def test_actionlint_finds_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "bad.yml"
    file.write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - runs: ls\n")
    command = [workflows.find_or_install(), *workflows.OPTIONS, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "runs" in done.stdout


def test_tests_run_on_every_supported_python() -> None:
    matrix = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]
    least = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert least
    assert matrix["python"][0] == f"3.{least[1]}"


def test_pre_commit_runs_existing_steps(tmp_path: Path) -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    [hook] = repository["hooks"]
    _, _, _, only = shlex.split(hook["entry"])
    local = Local(tmp_path, PORTS)
    local.make_secrets()
    names = [step.name for step in test.steps(local, "")]
    words = only.removeprefix("only=").split()
    assert test.chosen(names, words) == [name for name in names if name in words]
    assert len(words) == len(hook["name"].split(", ")) == len(test.chosen(names, words))


@pytest.mark.parametrize("file", ["dependabot.yml", "ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/feature.yml"])
def test_github_file_is_valid_yaml_with_its_required_keys(file: str) -> None:
    content = yaml.safe_load((GITHUB / file).read_text())
    required = {"version", "updates"} if file == "dependabot.yml" else {"name", "description", "body"}
    assert required <= content.keys()


def test_dependabot_updates_every_list_of_packages() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    covered = [
        (each["package-ecosystem"], folder)
        for each in updates
        for folder in each.get("directories", [each.get("directory")])
    ]
    lists = [(PurePosixPath("/", name), kind) for name in scratch.tracked() for kind in [package_manager(name)] if kind]
    compose = set() if is_deleted("compose.yaml") else {"docker-compose"}
    assert {kind for _, kind in lists} == {"docker", "npm", "pip"} | compose
    for path, kind in lists:
        assert any(kind == each and path.parent.match(folder) for each, folder in covered), path


def package_manager(name: str) -> str | None:
    """Return Dependabot's name for the package manager that reads this file, or None."""
    file = Path(name).name
    if file.startswith("requirements") and file.endswith(".txt"):
        return "pip"
    return {"package-lock.json": "npm", "Dockerfile": "docker", "compose.yaml": "docker-compose"}.get(file)


def test_release_notes_are_the_changelog_section_of_the_version(tmp_path: Path) -> None:
    changelog = (
        "# Changelog\n## [Unreleased]\n- d\n## [1.1.0] - 2026-12-01\n### Added\n- c\n\n## [1.0.0] - 2026-11-24\n- a\n"
    )
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    jobs = yaml.safe_load((GITHUB / "workflows" / "release.yml").read_text())["jobs"]
    [script] = [step["run"] for step in jobs["manifests"]["steps"] if "awk" in step.get("run", "")]
    script = script.replace("gh release create", "echo")
    environment = {"PATH": "/usr/bin:/bin", "GITHUB_REF_NAME": "v1.1.0"}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "notes.md").read_text() == "### Added\n- c\n\n"


def test_release_builds_an_image_for_each_project() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows" / "release.yml").read_text())["jobs"]
    [script] = [step["run"] for step in jobs["projects"]["steps"] if "run" in step]
    code = script.partition("<<'END'\n")[2].partition("\nEND")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    matrix = yaml.safe_load(done.stdout.removeprefix("matrix="))
    assert {each["project"] for each in matrix} == {*PORTS}
