"""Find Prometheus and promtool, or install Debian's package."""

import os
import shutil
import subprocess


def promtool() -> str:
    """Return the path of promtool. Raise SystemExit if it is missing and cannot be installed."""
    return _find("promtool")


def prometheus() -> str:
    """Return the path of Prometheus. Raise SystemExit if it is missing and cannot be installed."""
    return _find("prometheus")


def _find(program: str) -> str:
    if not shutil.which(program) and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Prometheus from Debian's packages …", flush=True)
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "prometheus"]):
            subprocess.run(["apt-get", "--quiet", "--quiet", *command], capture_output=True, check=False)
    path = shutil.which(program)
    if not path:
        raise SystemExit(f"{program} is required. Install the package prometheus of your system.")
    return path
