"""schemathesis on both OpenAPI documents: every check it has, in all its phases."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tools.local import ROOT
from tools.system import NO_LIMITS, System, start, stop

EXAMPLES = os.environ.get("EXAMPLES") or ("200" if os.environ.get("CI") else "50")  # for each operation
# Where a failure must say something about the change, CI tries what it tried before; elsewhere each run tries new ones.
SEED = ["--seed=1"] if os.environ.get("CI") else []


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose limits do not hide the rest."""
    system = start(tmp_path_factory.mktemp("own"), **NO_LIMITS)
    yield system
    stop(system)


@pytest.mark.parametrize("project", ["thoughts", "users"])
def test_no_request_gets_an_answer_that_the_schema_does_not_have(own: System, project: str, tmp_path: Path) -> None:
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
