"""Replacement of a signing key while users are logged in, as in docs/operations.md."""

import base64
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import requests

from tools.local import ROOT
from tools.system import System, children, start, stop, within

TIMEOUT = 10


def restart_users_api(system: System) -> None:
    """Stop users_api gracefully, and wait until the supervisor has restarted it."""
    assert system.process
    pid = next(pid for pid, command in children(system.process.pid).items() if "users_api.wsgi" in command)
    os.kill(pid, signal.SIGTERM)
    assert within(10, lambda: not Path(f"/proc/{pid}").exists())
    assert within(20, lambda: _ready(system))


def _ready(system: System) -> bool:
    try:
        return requests.get(f"{system.users}/readyz", timeout=1).ok
    except requests.ConnectionError:
        return False


def log_in(system: System) -> str:
    response = requests.post(
        f"{system.users}/api/login/", data={"username": "bruce", "password": "bruce"}, timeout=TIMEOUT
    )
    authorization: str = response.json()["Authorized"]
    return authorization


def kid(authorization: str) -> str:
    header = authorization.split()[1].split(".")[0]
    identifier: str = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    return identifier


def accepted(system: System, authorization: str) -> bool:
    url = f"{system.thoughts}/api/me/thoughts/"
    return requests.get(url, headers={"Authorization": authorization}, timeout=TIMEOUT).status_code == 200


def published(system: System) -> set[str]:
    return {key["kid"] for key in requests.get(f"{system.users}/.well-known/jwks.json", timeout=TIMEOUT).json()["keys"]}


def test_key_is_replaced_without_a_logout(tmp_path: Path) -> None:
    section = (ROOT / "docs/operations.md").read_text().split("\n## Replacing the signing key\n")[1].split("\n## ")[0]
    steps = re.findall(r"^ +```sh\n(.*?)^ +```$", section, re.MULTILINE | re.DOTALL)
    assert len(steps) == 3
    system = start(tmp_path)
    try:
        old = log_in(system)
        assert accepted(system, old)

        def follow(step: str) -> None:
            subprocess.run(["bash", "-ec", step], cwd=tmp_path / "keys", check=True)
            restart_users_api(system)

        # The new key is published before it signs.
        follow(steps[0])
        assert kid(log_in(system)) == kid(old)
        assert len(published(system)) == 2

        # The new key signs, and the old one still verifies. (Verifiers refetch keys at most every 10 s.)
        time.sleep(10)
        follow(steps[1])
        new = log_in(system)
        assert kid(new) != kid(old)
        assert published(system) == {kid(old), kid(new)}
        assert accepted(system, new)
        assert accepted(system, old)

        # The old key is removed. The new one remains valid.
        follow(steps[2])
        assert published(system) == {kid(new)}
        assert accepted(system, new)
    finally:
        stop(system)
