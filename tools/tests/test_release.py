"""`make release`, in clones of this repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import scratch
from tools.local import ROOT

RELEASE = "import sys; from tools import release; release.release(sys.argv[1], only=['upgrade on SQLite'])"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone that no test changes."""
    tree = scratch.clone(tmp_path_factory.mktemp("release") / "clone")
    for name in ("user.name", "user.email"):
        git(tree, "config", name, "x")
    changelog = tree / "CHANGELOG.md"  # the section [Unreleased] is empty after a release
    changelog.write_text(changelog.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n- A change.\n"))
    git(tree, "commit", "--quiet", "--all", "--message=x")
    return tree


@pytest.fixture
def tree(original: Path, tmp_path: Path) -> Path:
    """Return a clone of this repository."""
    return Path(shutil.copytree(original, tmp_path / "tree", symlinks=True))


def release(tree: Path, version: str = "7.1.0") -> "subprocess.CompletedProcess[str]":
    """Release a version, with a single fast check."""
    command = [sys.executable, "-c", RELEASE, version]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def git(tree: Path, *arguments: str) -> str:
    """Run git and return its output."""
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def refusal(tree: Path, version: str = "7.1.0") -> str:
    """Try to release a version.

    Check that this changes nothing, and return why the release is refused.
    """
    before = git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain")
    done = release(tree, version)
    assert done.returncode == 1, done.stdout
    assert (git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain")) == before
    assert not git(tree, "tag")
    return done.stderr.strip().splitlines()[-1]


def test_release_is_committed_and_tagged_and_the_next_one_needs_a_changelog_entry(tree: Path) -> None:
    done = release(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(tree, "describe", "--exact-match") == "v7.1.0"
    assert not git(tree, "status", "--porcelain")
    assert re.search(
        r"^## \[Unreleased\]\n\n## \[7\.1\.0\] - \d{4}-\d\d-\d\d\n\n", (tree / "CHANGELOG.md").read_text(), re.M
    )
    tags = re.findall("newTag: (.*)", (tree / "k8s/components/release/kustomization.yaml").read_text())
    assert set(tags) == {"v7-1-0"}
    for project in ("users_api", "thoughts_api", "web", "common", "."):
        assert 'version = "7.1.0"' in (tree / project / "pyproject.toml").read_text()
    newest = max(file.stem for file in (tree / "users_api" / "migrations").glob("0*.py"))
    assert f'migration = "{newest}"' in (tree / "users_api" / "pyproject.toml").read_text()
    # The changelog has no new entry.
    assert "no entry below [Unreleased]" in release(tree, "7.1.1").stderr


@pytest.mark.parametrize(("version", "why"), [("7.1", "not a version"), ("", "not a version"), ("0.9.9", "not newer")])
def test_invalid_version_is_refused(tree: Path, version: str, why: str) -> None:
    assert why in refusal(tree, version)


def test_dirty_tree_is_refused(tree: Path) -> None:
    (tree / "README.md").write_text("changed")
    assert "README.md. Commit them." in refusal(tree)


def test_existing_tag_is_refused(tree: Path) -> None:
    git(tree, "tag", "v7.1.0")
    done = release(tree)
    assert done.returncode == 1
    assert "The tag v7.1.0 exists already." in done.stderr


def test_migration_that_old_pods_cannot_survive_is_refused(tree: Path) -> None:
    migration = tree / "thoughts_api" / "migrations" / "9999_mood.py"
    newest = max(file.stem for file in migration.parent.glob("0*.py"))
    migration.write_text(
        "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = [('thoughts_api', '{newest}')]\n"
        "    operations = [migrations.AddField('Thought', 'mood', models.CharField(max_length=9, default=''))]\n"
    )
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message=x")
    assert "A check failed" in refusal(tree)


def test_pinned_base_image_has_the_tag_of_the_dockerfile() -> None:
    pinned = re.search(r"^FROM (.*)@sha256:[0-9a-f]{64}$", (ROOT / ".github/base-images/Dockerfile").read_text(), re.M)
    used = re.search(r"^ARG PYTHON=(.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert pinned
    assert used
    assert pinned[1] == used[1]


def test_images_of_a_release_use_the_pinned_base_image_and_dependabot_updates_it() -> None:
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    page = (ROOT / "docs/production.md").read_text()
    assert "--build-arg PYTHON=$base " in page
    for text, start in ((workflow, '--build-arg=PYTHON="$('), (page, "base=$(")):
        command = text.partition(start)[2].partition(")")[0]
        printed = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert re.fullmatch(r"python:\S+@sha256:[0-9a-f]{64}\n", printed)
    assert "/.github/base-images," in (ROOT / ".github/dependabot.yml").read_text()
