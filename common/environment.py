"""Read the environment variables that configure gunicorn.

The check of PostgreSQL's connection limit also uses this module.

gunicorn's master imports this module, but not `common.settings`. Only the workers import Django and the settings. So
the master needs little memory, and in development, new workers load the changed code.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common._compat import FileEnv

_env = FileEnv(strip_whitespace=True)


def available_cpus() -> int:
    """Return the CPU limit of this container, rounded up.

    If there is no limit, or if the limit exceeds the number of CPUs, return the number of CPUs. Depending on the host,
    a cgroup v2 or cgroup v1 file contains the limit.
    """
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text().strip()
            period = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            quota = period = "max"
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if quota in ("max", "-1"):
        return count
    return min(count, math.ceil(int(quota) / int(period)))


def text(name: str, default: str) -> str:
    """Return a variable as a string.

    If `<name>_FILE` is set, read the value from the file at that path. Raise SystemExit if the file is unreadable.
    """
    return str(_read(_env.str, name, default))


def flag(name: str, default: bool) -> bool:
    """Return a variable as a boolean. Raise SystemExit if it is invalid."""
    return bool(_read(_env.bool, name, default))


def number(name: str, default: int, least: int = 1, most: float = math.inf) -> int:
    """Return a variable as an integer from `least` to `most`.

    Raise SystemExit if it is invalid.
    """
    value = text(name, "")
    if value and not (value.isdecimal() and least <= int(value) <= most):
        limits = f"from {least}" if most == math.inf else f"from {least} to {most}"
        raise SystemExit(f"Invalid environment. {name}: not a number {limits}: {value!r}")
    return int(value or default)


def _read(parse: Callable[..., Any], name: str, default: object) -> Any:
    try:
        return parse(name, default)
    except ValueError as error:
        raise SystemExit(f"Invalid environment. {error}") from None


def pods() -> int:
    """Return the maximum number of pods of this service (MAX_PODS)."""
    return number("MAX_PODS", 1)


def workers() -> int:
    """Return the number of worker processes per pod (WEB_CONCURRENCY)."""
    return number("WEB_CONCURRENCY", available_cpus())


def threads() -> int:
    """Return the number of threads per worker (THREADS)."""
    return number("THREADS", 8)


def management_port() -> int:
    """Return the management port (MANAGEMENT_PORT), or 0 for none."""
    return number("MANAGEMENT_PORT", 0, least=0, most=65535)
