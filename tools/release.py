"""Check the tree, and create a release in it: `make release version=1.1.0`.

The release consists of a section of CHANGELOG.md, the image tags in k8s/components/release, and the versions in the
pyproject.toml files. It also contains the last migration of each API, with which tools/upgrade.py checks the next
release. The command pushes nothing.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tools.local import ROOT
from tools.projects import TABLE, WITH_DATABASE

CHANGELOG = ROOT / "CHANGELOG.md"
TAGS = ROOT / "k8s" / "components" / "release" / "kustomization.yaml"
UNRELEASED = "## [Unreleased]\n"  # https://keepachangelog.com/en/1.1.0/
# https://semver.org, without pre-releases.
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Refused(Exception):
    """The release is refused.

    The message states the reason and the remedy in one line.
    """


def image_tag(version: str) -> str:
    """Return the tag of the images of a version: v1-1-0 for 1.1.0.

    The tag is part of the names of Jobs. Dots in these names cause warnings, because Kubernetes uses a Job's
    name in the host names of its pods.
    """
    return f"v{version.replace('.', '-')}"


def check(version: str, today: str) -> dict[Path, str]:
    """Return the new content of each file that a release changes.

    Raise `Refused` if the version, the changelog or the working tree does not allow a release.
    """
    if not VERSION.fullmatch(version):
        raise Refused(f"{version!r} is not a version. Use three numbers: make release version=1.1.0")
    text = CHANGELOG.read_text()
    released = [numbers(found) for found in re.findall(r"(?m)^## \[(\d+\.\d+\.\d+)\]", text)]
    if released and numbers(version) <= max(released):
        newest = ".".join(map(str, max(released)))
        raise Refused(f"{version} is not newer than {newest}, the newest version in CHANGELOG.md. Choose a higher one.")
    if not text.partition(UNRELEASED)[2].partition("\n## ")[0].strip():
        raise Refused("CHANGELOG.md has no entry below [Unreleased]. Describe the changes there.")
    if changed := git("status", "--porcelain"):
        raise Refused(f"The working tree has changes that are not committed: {changed.splitlines()[0]}. Commit them.")
    if git("tag", "--list", f"v{version}"):
        raise Refused(f"The tag v{version} exists already. Choose a higher version.")
    contents = {
        CHANGELOG: text.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {today}\n", 1),
        TAGS: re.sub(r"(?m)^(    newTag: ).*$", rf"\g<1>{image_tag(version)}", TAGS.read_text()),
    }
    for folder in (ROOT, ROOT / "common", *(ROOT / package for package in TABLE)):
        file = folder / "pyproject.toml"
        contents[file] = re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', file.read_text(), count=1)
    for project in WITH_DATABASE:
        file = ROOT / project.package / "pyproject.toml"
        newest = max(each.stem for each in (ROOT / project.package / "migrations").glob("[0-9]*.py"))
        contents[file] = re.sub(r'(?m)^migration = ".*"$', f'migration = "{newest}"', contents[file])
    return contents


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparisons."""
    return tuple(map(int, version.split(".")))


def git(*arguments: str) -> str:
    """Run git and return its output.

    If git fails, raise `Refused` with git's error output.
    """
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"git {' '.join(arguments)} failed: {' '.join((done.stderr or done.stdout).split())}")
    return done.stdout


def release(version: str, only: list[str]) -> None:
    """Check, write, commit and tag a release.

    `only` selects the steps of `make test` to run; an empty list selects all. If a check fails, raise `Refused`
    without writing anything.
    """
    contents = check(version, f"{datetime.now(UTC):%Y-%m-%d}")
    if subprocess.run([sys.executable, "-m", "tools.test", *only], cwd=ROOT, check=False).returncode:
        raise Refused("A check failed, so nothing was released. Fix it, and run `make release` again.")
    for file, content in contents.items():
        file.write_text(content)
    git("commit", "--quiet", f"--message=Release {version}", *(str(file.relative_to(ROOT)) for file in contents))
    git("tag", "--annotate", f"v{version}", f"--message=Release {version}")


def main() -> None:
    """Release the version that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("version", nargs="?", default="")
    version = parser.parse_args().version
    try:
        release(version, only=[])
    except Refused as error:
        sys.exit(str(error))
    print(f"Released {version} as the tag v{version}. Publish it: git push --follow-tags")


if __name__ == "__main__":
    main()
