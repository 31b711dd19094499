"""Replace the signing key with `manage.py rotate_keys` while users are logged in."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import requests

from tools.local import ROOT, Local
from tools.projects import PORTS
from tools.system import System, start, stop, within

TIMEOUT = 30


def rotate(var: Path, *options: str) -> str:
    """Run `rotate_keys` for the system in the folder `var`, and return the output."""
    environment = Local(var, PORTS).environment("users_api")
    command = [sys.executable, "users_api/manage.py", "rotate_keys", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


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


def test_key_is_rotated_without_a_restart_or_a_logout(tmp_path: Path) -> None:
    system = start(tmp_path)
    try:
        old = log_in(system)
        assert accepted(system, old)

        # Step 1: users_api publishes the new key, but still signs with the old one.
        assert "made and published" in rotate(tmp_path, "--now")
        assert within(TIMEOUT, lambda: len(published(system)) == 2)
        assert kid(log_in(system)) == kid(old)

        # Step 2: users_api signs with the new key. Tokens signed with the old key are still accepted.
        # Wait first, because thoughts_api fetches the published keys at most every 10 s.
        assert "nothing to do" in rotate(tmp_path)
        time.sleep(10)
        assert "the new key signs" in rotate(tmp_path, "--published-for=0")
        assert within(TIMEOUT, lambda: kid(log_in(system)) != kid(old))
        new = log_in(system)
        assert published(system) == {kid(old), kid(new)}
        assert accepted(system, new)
        assert accepted(system, old)

        # Step 3: users_api no longer publishes the old key. Tokens signed with the new key are still accepted.
        assert "complete" in rotate(tmp_path, "--retired-for=0")
        assert within(TIMEOUT, lambda: published(system) == {kid(new)})
        assert accepted(system, new)
    finally:
        stop(system)
