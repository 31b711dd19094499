"""Tests of `make fault`.

`make fault` writes the file that the service reads, and refuses unknown arguments.
"""

from pathlib import Path

import pytest

from common.http.faults import Fault, read
from tools import fault
from tools.local import PROJECTS, Local
from tools.projects import PORTS


@pytest.mark.parametrize("project", PROJECTS)
def test_service_reads_the_fault(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fault, "ROOT", tmp_path)
    local = Local(tmp_path / "var", PORTS)
    local.make_secrets()
    file = Path(local.environment(project)["FAULTS_PATH"])
    assert read(file) is Fault.NORMAL
    fault.main([project, "slow"])
    assert read(file) is Fault.SLOW
    end = f"To end this, run `make fault in={project} do=normal`.\n"
    assert capsys.readouterr().out == f"{project} is slow from the next request on. {end}"
    fault.main([project, "normal"])
    assert read(file) is Fault.NORMAL
    assert capsys.readouterr().out == f"{project} is normal from the next request on.\n"


@pytest.mark.parametrize("arguments", [["thoughts_api", "broken"], ["nothing", "slow"], []], ids=str)
def test_unknown_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        fault.main(arguments)
    message = str(refused.value.code)
    assert message.startswith("Name a project (thoughts_api, users_api, web")
    assert "(normal, slow, failing, down)" in message
