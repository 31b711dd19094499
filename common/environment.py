"""Variables of the environment that gunicorn's settings and the database check read, without Django's settings.

In development, gunicorn's master imports this module once, and its workers never reload it.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common._compat import FileEnv

_env = FileEnv(strip_whitespace=True)


def available_cpus() -> int:
    """Return how many CPUs this container or machine may use, rounded up (cgroup v2, cgroup v1, else all)."""
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
    """Return a text from the environment; raise SystemExit if it is in a file that cannot be read."""
    return str(_read(_env.str, name, default))


def flag(name: str, default: bool) -> bool:
    """Return a boolean from the environment; raise SystemExit if it is none."""
    return bool(_read(_env.bool, name, default))


def number(name: str, default: int, least: int = 1, most: float = math.inf) -> int:
    """Return a number from the environment; raise SystemExit, which names the variable, if it is wrong."""
    value = text(name, "")
    if value and not (value.isdecimal() and least <= int(value) <= most):
        limits = f"from {least}" if most == math.inf else f"from {least} to {most}"
        raise SystemExit(f"The environment is not right. {name}: not a number {limits}: {value!r}")
    return int(value or default)


def _read(parse: Callable[..., Any], name: str, default: object) -> Any:
    try:
        return parse(name, default)
    except ValueError as error:
        raise SystemExit(f"The environment is not right. {error}") from None


def pods() -> int:
    """Return how many pods may run at the same time (MAX_PODS)."""
    return number("MAX_PODS", 1)


def workers() -> int:
    """Return the number of worker processes (WEB_CONCURRENCY)."""
    return number("WEB_CONCURRENCY", available_cpus())


def threads() -> int:
    """Return the number of threads of each worker process (THREADS)."""
    return number("THREADS", 8)


def management_port() -> int:
    """Return the management port (MANAGEMENT_PORT), 0 for none."""
    return number("MANAGEMENT_PORT", 0, least=0, most=65535)
