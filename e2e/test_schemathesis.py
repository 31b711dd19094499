"""Fuzz both APIs with schemathesis.

schemathesis generates requests from the OpenAPI documents, and checks the responses.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tools.local import ROOT
from tools.system import NO_LIMITS, System, start, stop

# The maximum number of requests for each operation.
EXAMPLES = os.environ.get("EXAMPLES") or ("200" if os.environ.get("CI") else "50")
# In CI, each run sends the same requests, so a new failure points to a code change. Other runs send new requests.
SEED = ["--seed=1"] if os.environ.get("CI") else []


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system without rate limits."""
    system = start(tmp_path_factory.mktemp("own"), **NO_LIMITS)
    yield system
    stop(system)


@pytest.mark.parametrize("project", ["thoughts", "users"])
def test_all_answers_match_the_schema(own: System, project: str, tmp_path: Path) -> None:
    pair = {"username": "admin", "password": "admin"}
    answer, _ = (requests.post(f"{own.users}/api/login/", pair, timeout=10).json() for _ in range(2))
    headers = {"Authorization": answer["Authorized"]}
    sessions = requests.get(f"{own.users}/api/sessions/", headers=headers, timeout=10).json()
    other = next(session["id"] for session in sessions if not session["current"])
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), f"--config-file={ROOT / 'e2e' / 'schemathesis.toml'}"),
        *("run", f"{getattr(own, project)}/schema/", "--checks=all", f"--max-examples={EXAMPLES}", "--no-color", *SEED),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "AUTHORIZATION": answer["Authorized"], "SESSION": str(other)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert own.log
    assert "Traceback" not in own.log.read_text()
