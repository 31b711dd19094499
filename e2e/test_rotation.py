"""The signing key is replaced while users are logged in, with the commands in docs/operations.md."""

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
    """Stop users_api with SIGTERM, and wait until `tools.run` has restarted it."""
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

        # Step 1: users_api publishes the new key, but still signs with the old one.
        follow(steps[0])
        assert kid(log_in(system)) == kid(old)
        assert len(published(system)) == 2

        # Step 2: users_api signs with the new key. Tokens signed with the old key are still accepted.
        # Wait first, because thoughts_api fetches the published keys at most every 10 s.
        time.sleep(10)
        follow(steps[1])
        new = log_in(system)
        assert kid(new) != kid(old)
        assert published(system) == {kid(old), kid(new)}
        assert accepted(system, new)
        assert accepted(system, old)

        # Step 3: users_api no longer publishes the old key. Tokens signed with the new key are still accepted.
        follow(steps[2])
        assert published(system) == {kid(new)}
        assert accepted(system, new)
    finally:
        stop(system)
